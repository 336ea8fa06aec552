"""The score that the progress bar shows while a dataset is evaluated. The result is computed from all samples afterwards."""

from typing import Any

from cme.evaluation.task import process_choice, process_generation
from cme.suite import DatasetSpec

__all__ = ["RunningScore"]


class RunningScore:
    """Compute the mean primary score of the samples that this process has answered completely.

    It is used as lm-eval's cache hook. Prompts are answered in order of length, so the score can differ from the final one
    until all are answered.

    Args:
        spec: the dataset.
        task: lm-eval's task. Its requests are read when the first answer arrives, because lm-eval creates them just before.
    """

    def __init__(self, spec: DatasetSpec, task: Any) -> None:
        self._process = process_choice if spec.kind == "choice" else process_generation
        self._task = task
        # A program has no score before it has run.
        self._unknown = spec.runs_code
        self._places: dict[tuple[str, str], list[tuple[int, int]]] = {}
        self._docs: dict[int, Any] = {}
        self._answers: dict[int, list[Any]] = {}
        self._scores: list[float] = []

    def add_partial(self, attr: str, req: Any, res: Any) -> None:
        """Add one answer.

        Args:
            attr: lm-eval's name of the kind of request.
            req: ``args`` of the request.
            res: the generated text, or the log-probability and whether the continuation is the greedy one.
        """
        if self._unknown:
            return
        if not self._docs:
            self._read_requests()
        for number, index in self._places.pop(_key(req), ()):
            answers = self._answers[number]
            answers[index] = res
            if None not in answers:
                self._scores.append(self._process(self._docs[number], answers)["cme_score"])

    def _read_requests(self) -> None:
        for instance in self._task.instances:
            self._docs[instance.doc_id] = instance.doc
            self._answers.setdefault(instance.doc_id, []).append(None)
            self._places.setdefault(_key(instance.args), []).append((instance.doc_id, instance.idx))

    def __str__(self) -> str:
        """Return the score × 100, or an empty text if no sample is complete yet."""
        return f"{100 * sum(self._scores) / len(self._scores):.1f}" if self._scores else ""


def _key(request: Any) -> tuple[str, str]:
    """Return prompt and continuation. Generation settings are left out because all requests of a dataset share them."""
    prompt, second = request
    return prompt, second if isinstance(second, str) else ""
