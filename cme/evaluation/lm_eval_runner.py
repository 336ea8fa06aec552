"""lm-eval, driven from Python: one model, one dataset at a time, its noise kept off the terminal."""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cme.errors import NotFiniteError
from cme.paths import tasks_dir
from cme.suite import DatasetSpec

if TYPE_CHECKING:
    from cme.evaluation.engine.batch_cache import Keep, Kind

__all__ = ["Harness", "no_bars", "quiet"]

_FEWSHOT_SEED = 1234
_GENERATION_BATCHES = 4
"""Texts are generated this many times as many at once: a step needs little memory, and fewer steps are faster (measured on two
quiet CPU cores in bfloat16: 64 summaries in 26.5 to 29.2 s for 8 at once, 20.6 s for 32)."""


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back what lm-eval says on every run: hints about metadata, re-used models and its own progress bars."""
    loggers = [logging.getLogger(name) for name in ("lm_eval", "lm-eval")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


class Harness:
    """A loaded model behind lm-eval.

    Args:
        tokenizer: the base's tokenizer.
        batch_size: requests per batch where lm-eval's own code answers.
        engine: ``prefix`` (see `cme.evaluation.engine`) or ``hf``: lm-eval's own code.
        token_budget: positions per pass of the prefix engine; None: the device's default.

    Attributes:
        lm: the model as lm-eval sees it, after `take`.
    """

    lm: Any

    def __init__(
        self, tokenizer: Any, *, batch_size: int, engine: str = "prefix", token_budget: int | None = None
    ) -> None:
        self._tokenizer, self._batch_size = tokenizer, batch_size
        self._engine, self._token_budget = engine, token_budget

    def take(
        self, model: Any, metadata: Mapping[str, Any], checks: "Mapping[Kind, str | None] | None" = None
    ) -> "Harness":
        """Take a model.

        Args:
            model: a causal language model, or a PeftModel, in evaluation mode on its device.
            metadata: what every task's loader is told (source, tier, format, shots), see `cme.evaluation.task.load`.
            checks: what the self-check has said of it before.
        """
        from lm_eval.tasks import TaskManager

        from cme.evaluation.engine.lm import PrefixLM
        from cme.evaluation.engine.plain import PlainLM

        with quiet():
            if self._engine == "prefix":
                self.lm = PrefixLM(model, self._tokenizer, batch_size=self._batch_size)
                self.lm.recall(checks or {})
                self.lm.token_budget = self._token_budget
            else:
                self.lm = PlainLM(model, self._tokenizer, batch_size=self._batch_size)
            task_metadata = {**metadata, "tokenizer": self._tokenizer, "cme_max_length": self.lm.max_length}
            self._manager = TaskManager(include_path=str(tasks_dir()), include_defaults=False, metadata=task_metadata)
        return self

    def task(self, spec: DatasetSpec) -> Any:
        """Load a dataset's task: its rows are read and rendered now."""
        with quiet():
            return self._manager.load([spec.task])["tasks"][spec.task]

    def run(
        self, spec: DatasetSpec, task: Any, *, shots: int, keep: "Keep", score: bool = True
    ) -> list[dict[str, Any]]:
        """Evaluate one dataset.

        Args:
            spec: the dataset.
            task: from `task`.
            shots: examples before each question.
            keep: what becomes of the answers.
            score: False: this process only helps to answer, another one scores.

        Returns:
            lm-eval's sample records in the order of the rows; none without ``score``.

        Raises:
            NotFiniteError: the model computes NaN or infinity; the message names the dataset.
            PassError: the model's own code fails, likewise.
        """
        from lm_eval.evaluator import evaluate

        from cme.evaluation.engine.plain import PassError

        task.set_config(key="num_fewshot", value=shots)
        task.set_fewshot_seed(seed=_FEWSHOT_SEED)
        self.lm.batch_size_per_gpu = self._batch_size * (_GENERATION_BATCHES if spec.kind == "generate" else 1)
        self.lm.keep = keep
        try:
            with quiet(), no_bars():
                if not score:
                    self._answer(task)
                    return []
                tasks = {"tasks": {spec.task: task}, "groups": {}, "group_map": {}}
                outcome = evaluate(self.lm, tasks, bootstrap_iters=0)
        except (NotFiniteError, PassError) as error:
            raise type(error)(f"{spec.name}: {error}") from error
        samples = outcome["samples"][spec.task] if outcome else []
        return sorted(samples, key=lambda sample: int(sample["doc_id"]))

    def _answer(self, task: Any) -> None:
        """Answer the requests that lm-eval's `evaluate` would make."""
        task.build_all_requests(rank=0, world_size=1)
        getattr(self.lm, task.OUTPUT_TYPE if task.OUTPUT_TYPE != "multiple_choice" else "loglikelihood")(task.instances)


@contextmanager
def no_bars() -> Iterator[None]:
    """lm-eval's bar over the building of requests, off; it has no switch of its own."""
    import functools

    from lm_eval.api import task as module

    original = module.tqdm
    module.tqdm = functools.partial(original, disable=True)
    try:
        yield
    finally:
        module.tqdm = original
