"""The score so far, while a dataset is being answered: for the eyes only, the result is computed from all samples."""

from typing import Any

from cme.evaluation.task import process_choice, process_generation
from cme.suite import DatasetSpec

__all__ = ["RunningScore"]


class RunningScore:
    """Mean primary score of the samples that were fully answered by this process, in the place of lm-eval's cache hook.

    Prompts are answered by length, so that it need not be near the end's score before the end.

    Args:
        spec: the dataset.
        task: lm-eval's task, whose requests are read with the first answer: it makes them just before.
    """

    def __init__(self, spec: DatasetSpec, task: Any) -> None:
        self._process = process_choice if spec.kind == "choice" else process_generation
        self._task = task
        self._places: dict[tuple[str, str], list[tuple[int, int]]] = {}
        self._docs: dict[int, Any] = {}
        self._answers: dict[int, list[Any]] = {}
        self._scores: list[float] = []

    def add_partial(self, attr: str, req: Any, res: Any) -> None:
        """Take note of an answer.

        Args:
            attr: lm-eval's kind of request.
            req: the request's ``args``.
            res: (log-probability, greedy?), or the text.
        """
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
        """The score × 100; nothing as long as no sample is answered."""
        return f"{100 * sum(self._scores) / len(self._scores):.1f}" if self._scores else ""


def _key(request: Any) -> tuple[str, str]:
    """Prompt and continuation; settings of a generation are the same for all of a dataset's."""
    prompt, second = request
    return prompt, second if isinstance(second, str) else ""
