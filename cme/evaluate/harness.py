"""lm-eval, driven from Python: one model, one dataset at a time, its noise kept off the terminal."""

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from cme.paths import tasks_dir
from cme.suite import DatasetSpec

__all__ = ["Harness", "quiet"]

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


class _OnAnswer:
    """Takes the place of lm-eval's cache hook, which is told of every finished request."""

    def __init__(self, advance: Callable[[], None]) -> None:
        self._advance = advance

    def add_partial(self, attr: str, req: Any, res: Any) -> None:
        self._advance()


class Harness:
    """A loaded model behind lm-eval.

    Args:
        model: a causal language model, or a PeftModel, in evaluation mode on its device.
        tokenizer: the base's tokenizer.
        batch_size: requests per batch where lm-eval's own code answers.
        metadata: what every task's loader is told (source, tier, format, shots), see `cme.evaluate.task.load`.
        engine: ``prefix`` (see `cme.evaluate.engine`) or ``hf``: lm-eval's own code.

    Attributes:
        lm: the model as lm-eval sees it.
    """

    def __init__(
        self, model: Any, tokenizer: Any, *, batch_size: int, metadata: Mapping[str, Any], engine: str = "prefix"
    ) -> None:
        from lm_eval.tasks import TaskManager

        from cme.evaluate.engine.lm import PrefixLM
        from cme.evaluate.engine.plain import PlainLM

        self._batch_size = batch_size
        with quiet():
            self.lm = (PrefixLM if engine == "prefix" else PlainLM)(model, tokenizer, batch_size=batch_size)
            self._metadata = {**metadata, "tokenizer": tokenizer, "cme_max_length": self.lm.max_length}
            self._manager = TaskManager(include_path=str(tasks_dir()), include_defaults=False, metadata=self._metadata)

    def task(self, spec: DatasetSpec) -> Any:
        """Load a dataset's task: its rows are read and rendered now."""
        with quiet():
            return self._manager.load([spec.task])["tasks"][spec.task]

    def run(self, spec: DatasetSpec, task: Any, *, shots: int, advance: Callable[[], None]) -> list[dict[str, Any]]:
        """Evaluate one dataset.

        Args:
            spec: the dataset.
            task: from `task`.
            shots: examples before each question.
            advance: called once per finished request.

        Returns:
            lm-eval's sample records in the order of the rows.
        """
        from lm_eval.evaluator import evaluate

        task.set_config(key="num_fewshot", value=shots)
        task.set_fewshot_seed(seed=_FEWSHOT_SEED)
        self.lm.batch_size_per_gpu = self._batch_size * (_GENERATION_BATCHES if spec.kind == "generate" else 1)
        self.lm.set_cache_hook(_OnAnswer(advance))
        with quiet(), _no_bars():
            outcome = evaluate(self.lm, {"tasks": {spec.task: task}, "groups": {}, "group_map": {}}, bootstrap_iters=0)
        samples = outcome["samples"][spec.task] if outcome else []
        return sorted(samples, key=lambda sample: int(sample["doc_id"]))


@contextmanager
def _no_bars() -> Iterator[None]:
    """lm-eval's bar over the building of requests, off; it has no switch of its own."""
    import functools

    from lm_eval.api import task as module

    original = module.tqdm
    module.tqdm = functools.partial(original, disable=True)
    try:
        yield
    finally:
        module.tqdm = original
