"""A loaded model and what it has answered so far."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cme.adapters.load import check_effect
from cme.errors import CMEError, UsageError
from cme.evaluation.adapters import AdapterSwitcher
from cme.evaluation.in_memory import has_active_adapter, kept_merged
from cme.evaluation.live_score import RunningScore
from cme.evaluation.lm_eval_runner import Harness
from cme.evaluation.samples import response_row, sample_row, write_responses
from cme.evaluation.settings import EvalSettings
from cme.evaluation.store import Checks, Store
from cme.files import digest, read_json, write_json
from cme.models.causal import check_causal
from cme.models.load import load_model
from cme.models.load import pick_device as _pick
from cme.models.vocabulary import check_vocabulary
from cme.processes import ALONE, Group
from cme.progress import Bar
from cme.records.samples import write_samples
from cme.suite import DatasetSpec

__all__ = ["Session", "pick_device"]

_MARKER = "done.json"
_PROBE = "Does this adapter change what the base model says?"


class Session:
    """A base model, loaded once, that answers as itself or with one adapter after another.

    Args:
        settings: the evaluation's settings, device and threads resolved.
        folder: the base's local folder.
        tokenizer: the base's tokenizer.
        group: the processes that share the work.
        several: whether it will answer for more than one adapter.
        given: a model that is in memory already, ready to be evaluated (`cme.evaluation.in_memory`); it answers as it is, and
            ``folder`` is not read.

    Attributes:
        method: the adapter's method (PEFT type, lower case); empty without an adapter.
        effect: largest absolute difference of the logits with and without the adapter; 0.0 without one.

    Raises:
        SourceError: the base's weights are broken, its vocabulary is smaller than the tokenizer's, or it reads what comes later.
    """

    def __init__(
        self,
        settings: EvalSettings,
        folder: Path,
        tokenizer: Any,
        *,
        group: Group = ALONE,
        several: bool = False,
        given: Any = None,
    ) -> None:
        import torch

        if settings.threads:
            torch.set_num_threads(settings.threads)
        self._settings, self._tokenizer, self._group = settings, tokenizer, group
        self._device = settings.device or "cpu"
        self._switcher = AdapterSwitcher(
            lambda: load_model(folder, dtype=settings.dtype, device=self._device) if given is None else given,
            several=several,
        )
        self._given = given
        check_vocabulary(self._switcher.base, tokenizer)
        check_causal(self._switcher.base)
        self.method, self.effect = "", 0.0
        self._identity: Mapping[str, Any] = {}
        self._harness = Harness(
            tokenizer, batch_size=self.batch_size, engine=settings.engine, token_budget=settings.token_budget
        )
        self._several = several
        self._tasks: dict[str, tuple[Any, float]] = {}

    def attach(self, adapter: Path | None, identity: Mapping[str, Any], parts: Path) -> None:
        """Answer with an adapter from now on; None: as the base itself.

        Args:
            adapter: the adapter's folder.
            identity: everything that decides the answers, see `cme.evaluation.store.Store`.
            parts: folder of the datasets' folders.

        Raises:
            AdapterError: the adapter does not fit the base, or its weights are broken.
        """
        self.method, self.effect = "", 0.0
        model = self._switcher.base if adapter is None else self._switcher.attach(adapter)
        if adapter is not None or (self._given is not None and has_active_adapter(model)):
            self._measure_effect(model)
        self._identity = identity
        self._checks = Checks(parts, identity, self._group)
        # All have read what there is before one adds to it.
        self._group.together(lambda: None)
        settings = self._settings
        metadata = {
            "cme_source": settings.source,
            "cme_tier": settings.tier,
            "cme_format": settings.prompt_format,
            "cme_shots": settings.shots,
            "cme_wording": settings.prompt_variant,
            "cme_allow_missing": settings.allow_missing,
        }
        self._harness.take(model, metadata, self._checks.verdicts)

    def _measure_effect(self, model: Any) -> None:
        """Set `method` and `effect` from the active adapter of a `PeftModel`."""
        import torch

        kind = model.peft_config[model.active_adapters[0]].peft_type
        self.method = str(getattr(kind, "value", kind)).lower()
        probe = torch.tensor([self._tokenizer.encode(_PROBE)], device=self._device)
        with kept_merged(model):
            self.effect = check_effect(model, probe)

    def prepare(self, specs: Sequence[DatasetSpec], parts: Path) -> None:
        """Read and render the rows of all datasets that are not done, so that what is wrong with them shows before any work.

        Args:
            specs: the datasets.
            parts: folder of the datasets' folders.

        Raises:
            CMEError: a dataset's rows cannot be read, or one of them does not fit the model.
        """
        for spec in specs:
            if _done(parts / spec.name / _MARKER, self._key(spec)) is None:
                self._task(spec)

    @property
    def batch_size(self) -> int:
        """Requests per batch."""
        return self._settings.batch_size or (8 if self._device == "cpu" else 32)

    @property
    def device_name(self) -> str:
        """The GPU's name, or the processor's architecture."""
        if self._device.startswith("cuda"):
            import torch

            return str(torch.cuda.get_device_name(self._device))
        import platform

        return f"{self._device} ({platform.machine()})"

    @property
    def threads(self) -> int:
        """CPU threads in use."""
        import torch

        return int(torch.get_num_threads())

    def dataset(self, spec: DatasetSpec, part: Path, progress: Bar) -> dict[str, Any]:
        """Evaluate one dataset, unless its folder ``part`` says that this is done for this very model.

        Args:
            spec: the dataset.
            part: its folder.
            progress: shows how many requests are answered, and the score so far.

        Returns:
            ``seconds`` it took and ``tokens`` that were computed, those of interrupted runs included, the ``provenance`` of
            its rows, and the ``engine`` that answered (see `Result.engines`).
        """
        key = self._key(spec)
        done = self._group.first(lambda: _done(part / _MARKER, key))
        if done:
            progress.expect(1)
            progress.advance()
            return done
        return self._group.together(lambda: self._answer(spec, part, key, progress))

    def _answer(self, spec: DatasetSpec, part: Path, key: str, progress: Bar) -> dict[str, Any]:
        import torch

        task, before = self._task(spec)
        if not self._several:
            del self._tasks[spec.name]
        started = time.perf_counter()
        requests = sum(map(len, task.eval_docs["continuations"])) if spec.kind == "choice" else len(task.eval_docs)
        progress.expect(requests)
        score = RunningScore(spec, task)

        def advance(answers: float) -> None:
            progress.advance(answers)
            progress.describe(str(score))

        lm = self._harness.lm
        if progress.shown:
            lm.set_cache_hook(score)
        store = Store(
            part,
            self._identity,
            group=self._group,
            checks=self._checks,
            tokens=lambda: lm.work.tokens,
            advance=advance,
        )
        before += store.spent()[0]
        try:
            records = self._harness.run(spec, task, shots=self._settings.shots, keep=store, score=self._group.rank == 0)
        except torch.OutOfMemoryError as error:
            raise CMEError(
                f"{spec.name}: {self._device} is out of memory. Set a lower --token-budget (default: 512 on a CPU, 8192 on "
                "a GPU) or, with --engine hf, a lower --batch-size, and another --out."
            ) from error

        def write() -> dict[str, Any]:
            write_samples(part / "samples.parquet", [sample_row(record, spec, self._tokenizer) for record in records])
            write_responses(part / "responses.parquet", [response_row(record, spec) for record in records])
            done = {
                "key": key,
                "seconds": round(before + time.perf_counter() - started, 3),
                "tokens": store.spent()[1],
                "provenance": task.dataset.provenance,
                "engine": lm.used,
            }
            write_json(part / _MARKER, done)
            return done

        return self._group.first(write)

    def _key(self, spec: DatasetSpec) -> str:
        return digest({**self._identity, "task": spec.fingerprint})

    def _task(self, spec: DatasetSpec) -> tuple[Any, float]:
        """A dataset's task, and the seconds that reading its rows took."""
        if spec.name not in self._tasks:
            started = time.perf_counter()
            task = self._harness.task(spec)
            self._tasks[spec.name] = task, time.perf_counter() - started
        return self._tasks[spec.name]


def _done(marker: Path, key: str) -> dict[str, Any] | None:
    """What is known of a dataset that is done; None if it is not, or for another model."""
    try:
        done: dict[str, Any] = read_json(marker)
    except CMEError:
        return None
    return done if done.get("key") == key else None


def pick_device(device: str | None, group: Group) -> str:
    """The device asked for, else the first GPU, else the CPU; of several processes, each gets a GPU of its own.

    Raises:
        UsageError: there are fewer GPUs than processes on this machine.
    """
    chosen = _pick(device)
    if group.size == 1 or chosen != "cuda":
        return chosen
    import torch
    import torch.distributed as dist

    number = dist.get_node_local_rank()
    if number >= torch.cuda.device_count():
        raise UsageError(
            f"process {number} has no GPU: this machine has {torch.cuda.device_count()}. Start fewer processes, or give "
            "--device cpu."
        )
    return f"cuda:{number}"
