"""Runs lm-eval from Python: one model, one dataset at a time, without lm-eval's own output."""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cme.errors import NotFiniteError
from cme.paths import tasks_dir
from cme.suite import DatasetSpec

if TYPE_CHECKING:
    from cme.evaluation.engine.batch_cache import BatchCache, Kind

__all__ = ["Harness", "no_bars", "quiet"]

_FEWSHOT_SEED = 1234
_GENERATION_BATCHES = 4
"""Factor between the batch size of generated texts and that of choice requests.

One decoding step needs little memory, and fewer steps are faster. On two CPU cores in bfloat16, 64 summaries took 26.5 to 29.2 s
in batches of 8 and 20.6 s in batches of 32.
"""


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress the messages that lm-eval logs in every run, such as hints about metadata and reused models."""
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
    """Evaluate a loaded model with lm-eval.

    Args:
        tokenizer: tokenizer of the base model.
        batch_size: number of requests per batch of lm-eval's own code.
        engine: ``prefix`` (`cme.evaluation.engine`) or ``hf`` (lm-eval's own code).
        token_budget: maximum number of positions per pass of the prefix engine. None means the default of the device.

    Attributes:
        lm: lm-eval's interface to the model. `take` sets it.
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
        """Set the model to evaluate.

        Args:
            model: a causal language model or a `PeftModel`, in evaluation mode on its device.
            metadata: metadata for the loader of every task, such as source and tier. See `cme.evaluation.task.load`.
            checks: earlier verdicts of the self-check on this model.

        Returns:
            This object.
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
        """Load the task of a dataset. This reads and renders its rows."""
        with quiet():
            return self._manager.load([spec.task])["tasks"][spec.task]

    def run(
        self, spec: DatasetSpec, task: Any, *, shots: int, batch_cache: "BatchCache", score: bool = True
    ) -> list[dict[str, Any]]:
        """Evaluate one dataset.

        Args:
            spec: the dataset.
            task: lm-eval's task, from `task`.
            shots: number of training examples before each question.
            batch_cache: store of the answers.
            score: whether this process scores. If False, it only computes answers, and another process scores them.

        Returns:
            lm-eval's sample records in the order of the rows. The list is empty if ``score`` is False.

        Raises:
            NotFiniteError: if the model computes NaN or infinity. The message names the dataset.
            PassError: if the model's own code fails. The message names the dataset.
        """
        from lm_eval.evaluator import evaluate

        from cme.evaluation.engine.plain import PassError

        task.set_config(key="num_fewshot", value=shots)
        task.set_fewshot_seed(seed=_FEWSHOT_SEED)
        self.lm.batch_size_per_gpu = self._batch_size * (_GENERATION_BATCHES if spec.kind == "generate" else 1)
        self.lm.batch_cache = batch_cache
        try:
            with quiet(), no_bars():
                if not score:
                    self._answer(task)
                    return []
                tasks = {"tasks": {spec.task: task}, "groups": {}, "group_map": {}}
                # Code that a model writes runs only after `cme.evaluation.code.checked_run_code`.
                outcome = evaluate(self.lm, tasks, bootstrap_iters=0, confirm_run_unsafe_code=True)
        except (NotFiniteError, PassError) as error:
            raise type(error)(f"{spec.name}: {error}") from error
        samples = outcome["samples"][spec.task] if outcome else []
        return sorted(samples, key=lambda sample: int(sample["doc_id"]))

    def _answer(self, task: Any) -> None:
        """Answer the requests that lm-eval's `evaluate` would build."""
        task.build_all_requests(rank=0, world_size=1)
        getattr(self.lm, task.OUTPUT_TYPE if task.OUTPUT_TYPE != "multiple_choice" else "loglikelihood")(task.instances)


@contextmanager
def no_bars() -> Iterator[None]:
    """Disable lm-eval's progress bar for building requests, for which lm-eval has no option."""
    import functools

    from lm_eval.api import task as module

    original = module.tqdm
    module.tqdm = functools.partial(original, disable=True)
    try:
        yield
    finally:
        module.tqdm = original
