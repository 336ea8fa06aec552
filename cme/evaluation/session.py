"""Evaluates a loaded model dataset by dataset and stores its answers."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cme.adapters.load import check_effect
from cme.errors import CMEError, UsageError
from cme.evaluation import code
from cme.evaluation.adapters import AdapterSwitcher
from cme.evaluation.expert_choice import masked
from cme.evaluation.in_memory import has_active_adapter, merged_adapters_restored
from cme.evaluation.live_score import RunningScore
from cme.evaluation.lm_eval_runner import Harness
from cme.evaluation.prices import row_price
from cme.evaluation.retention import RetentionMeter
from cme.evaluation.row_windows import RowWindows, Window
from cme.evaluation.samples import response_row, sample_row, write_responses
from cme.evaluation.settings import EvalSettings
from cme.evaluation.shared_rows import check_same_revision
from cme.evaluation.store import Checks, Store
from cme.files import digest, read_json, write_json
from cme.models.causal import check_causal
from cme.models.load import base_fingerprint, load_model, load_tokenizer, resolve_base
from cme.models.load import pick_device as _pick
from cme.models.vocabulary import check_vocabulary
from cme.processes import ALONE, Group
from cme.progress import Bar
from cme.records import Retention
from cme.records.samples import write_samples
from cme.suite import DatasetSpec

__all__ = ["Session", "finished", "part_folder", "part_key", "pick_device"]

_MARKER = "done.json"
_PROBE = "Does this adapter change what the base model says?"


class Session:
    """Evaluate a base model that is loaded once, either alone or with one adapter after another.

    Args:
        settings: settings of the evaluation, with a resolved device.
        folder: local folder of the base model.
        tokenizer: tokenizer of the base model.
        group: the processes that share the work.
        several: whether more than one adapter will be evaluated.
        given: a model in memory (`cme.evaluation.in_memory`) to evaluate as it is. ``folder`` has no effect then.

    Attributes:
        method: method of the adapter (PEFT type in lower case). Empty without an adapter.
        effect: largest absolute difference between the logits with and without the adapter. 0.0 without an adapter.

    Raises:
        SourceError: if the base model's weights are damaged, its vocabulary is smaller than the tokenizer's, or its predictions
            depend on later tokens.
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
        self._device, self._given = settings.device or "cpu", given
        self._meter = self._retention_meter(folder) if settings.retention and group.rank == 0 else None
        self._switcher = AdapterSwitcher(
            lambda: load_model(folder, dtype=settings.dtype, device=self._device) if given is None else given,
            several=several,
        )
        check_vocabulary(self._switcher.base, tokenizer)
        check_causal(self._switcher.base)
        self.method, self.effect = "", 0.0
        self._identity: Mapping[str, Any] = {}
        self._harness = Harness(
            tokenizer, batch_size=self.batch_size, engine=settings.engine, token_budget=settings.token_budget
        )
        self._several = several
        self._tasks: dict[tuple[str, Window | None], tuple[Any, float]] = {}
        self._windows = RowWindows()

    def attach(
        self, adapter: Path | None, identity: Mapping[str, Any], parts: Path, experts: str | None = None
    ) -> None:
        """Attach an adapter for the following datasets. An adapter that is attached already stays as it is.

        Args:
            adapter: folder of the adapter. None evaluates the base model alone.
            identity: all settings that determine the answers, see `cme.evaluation.store.Store`.
            parts: folder that contains the folders of the datasets.
            experts: the experts to use (`cme.evaluation.expert_choice`). None means all.

        Raises:
            AdapterError: if the adapter does not fit the base model, or its weights are damaged.
        """
        self.method, self.effect, self._experts = "", 0.0, experts
        if self._meter is not None:
            self._meter.prepare(lambda: self._switcher.base, parts.parent / "retention", identity["base"])
        self._model = model = self._switcher.base if adapter is None else self._switcher.attach(adapter)
        if adapter is not None or (self._given is not None and has_active_adapter(model)):
            self._measure_effect(model)
        with masked(model, experts):
            # A choice that does not fit the model is refused here, before any evaluation.
            pass
        self._identity = identity
        self._checks = Checks(parts, identity, self._group)
        # No process may write a verdict before all processes have read the stored ones.
        self._group.together(lambda: None)
        settings = self._settings
        metadata = {
            "cme_source": settings.source,
            "cme_tier": settings.tier,
            "cme_format": settings.prompt_format,
            "cme_shots": settings.shots,
            "cme_prompt_variant": settings.prompt_variant,
            "cme_allow_missing": settings.allow_missing,
            "cme_rows": self._windows,
            "cme_ids": settings.ids,
            "cme_run_code": code.LATER,
        }
        self._harness.take(model, metadata, self._checks.verdicts)

    def check(self, adapter: Path) -> None:
        """Check that an adapter can be evaluated: attach it, and compute its logits once.

        Args:
            adapter: folder of the adapter.

        Raises:
            AdapterError: as for `attach`, or if a logit is not finite.
        """
        self._measure_effect(self._switcher.attach(adapter))

    def measure_retention(self) -> Retention | None:
        """Compare the attached adapter with the base; None if the settings do not ask for it. Call it in the first process.

        Raises:
            AdapterError: if a logit is not finite.
        """
        if self._meter is None:
            return None
        with masked(self._model, self._experts):
            return self._meter.measure(self._model)

    def _retention_meter(self, folder: Path) -> RetentionMeter:
        settings = self._settings
        other = None if settings.retention_base is None else resolve_base(settings.retention_base)
        if other is not None and load_tokenizer(other).get_vocab() != self._tokenizer.get_vocab():
            raise UsageError(
                f"{settings.retention_base} has another vocabulary than the evaluated model, so their predictions cannot be "
                "compared. Give the base from which the model was trained."
            )
        home = other or (folder if self._given is None else None)
        load = None if home is None else lambda: load_model(home, dtype=settings.dtype, device=self._device)
        return RetentionMeter(settings, self._tokenizer, load, None if other is None else base_fingerprint(other))

    def _measure_effect(self, model: Any) -> None:
        """Set `method` and `effect` from the active adapter of a `PeftModel`."""
        import torch

        kind = model.peft_config[model.active_adapters[0]].peft_type
        self.method = str(getattr(kind, "value", kind)).lower()
        probe = torch.tensor([self._tokenizer.encode(_PROBE)], device=self._device)
        with merged_adapters_restored(model):
            self.effect = check_effect(model, probe)

    def prepare(
        self, specs: Sequence[DatasetSpec], parts: Path, windows: Mapping[str, Window] | None = None
    ) -> dict[str, int]:
        """Read and render the rows of all unfinished datasets, so that errors in them appear before any evaluation.

        Args:
            specs: the datasets.
            parts: folder that contains the folders of the datasets.
            windows: the rows to evaluate of each dataset. None means all rows of the tier.

        Returns:
            The number of rows in the tier of each dataset whose rows were read.

        Raises:
            CMEError: if rows of a dataset cannot be read, or one does not fit the model.
        """
        for name, window in list(self._tasks):
            if windows is not None and windows.get(name) != window:
                del self._tasks[name, window]
        for spec in specs:
            window = windows[spec.name] if windows is not None else None
            if finished(part_folder(parts, spec.name, window), part_key(self._identity, spec, window)) is None:
                task, _ = self._task(spec, window)
                # Without a lock, the commit of the hub is known only now.
                check_same_revision(parts.parent, spec, task.dataset.provenance)
        return dict(self._windows.available)

    @property
    def batch_size(self) -> int:
        """Number of requests per batch of lm-eval's own code."""
        return self._settings.batch_size or (8 if self._device == "cpu" else 32)

    @property
    def device_name(self) -> str:
        """Name of the GPU, or the device and the architecture of the processor."""
        if self._device.startswith("cuda"):
            import torch

            return str(torch.cuda.get_device_name(self._device))
        import platform

        return f"{self._device} ({platform.machine()})"

    @property
    def threads(self) -> int:
        """Number of CPU threads that PyTorch uses."""
        import torch

        return int(torch.get_num_threads())

    def dataset(self, spec: DatasetSpec, parts: Path, progress: Bar, window: Window | None = None) -> dict[str, Any]:
        """Evaluate one dataset, unless its folder holds finished answers of the same model.

        Args:
            spec: the dataset.
            parts: folder that contains the folders of the datasets.
            progress: bar that shows the number of answered requests and the score so far.
            window: the rows to evaluate. None means all rows of the tier.

        Returns:
            A mapping with ``seconds`` and computed ``tokens`` (both include interrupted runs), the ``provenance`` of the rows,
            and the ``engine`` that answered (see `Result.engines`). With a window also the number of ``available`` rows and,
            for the first rows, the ``price`` of a row (`cme.evaluation.prices`).
        """
        folder, key = part_folder(parts, spec.name, window), part_key(self._identity, spec, window)
        done = self._group.first(lambda: finished(folder, key))
        if done:
            progress.expect(1)
            progress.advance()
            return done
        return self._group.together(lambda: self._answer(spec, folder, key, progress, window))

    def _answer(
        self, spec: DatasetSpec, folder: Path, key: str, progress: Bar, window: Window | None
    ) -> dict[str, Any]:
        import torch

        task, before = self._task(spec, window)
        if not self._several:
            del self._tasks[spec.name, window]
        started = time.perf_counter()
        requests = sum(map(len, task.eval_docs["continuations"])) if spec.kind == "choice" else len(task.eval_docs)
        progress.expect(requests + (len(task.eval_docs) if spec.runs_code else 0))
        score = RunningScore(spec, task)

        def advance(answers: float) -> None:
            progress.advance(answers)
            progress.describe(str(score))

        lm = self._harness.lm
        if progress.shown:
            lm.set_cache_hook(score)
        store = Store(
            folder,
            self._identity,
            group=self._group,
            checks=self._checks,
            tokens=lambda: lm.work.tokens,
            advance=advance,
        )
        before += store.spent()[0]
        try:
            with masked(self._model, self._experts):
                records = self._harness.run(
                    spec, task, shots=self._settings.shots, batch_cache=store, score=self._group.rank == 0
                )
        except torch.OutOfMemoryError as error:
            raise CMEError(
                f"{spec.name}: {self._device} is out of memory. Set another --out and a lower --token-budget (default: 512 on a "
                "CPU, 8192 on a GPU) or, with --engine hf, a lower --batch-size."
            ) from error

        def write() -> dict[str, Any]:
            nonlocal records
            if spec.runs_code and self._settings.run_code is not None:
                records = code.run_records(records, spec, folder, self._settings.run_code, progress.advance)
            write_samples(folder / "samples.parquet", [sample_row(record, spec, self._tokenizer) for record in records])
            write_responses(folder / "responses.parquet", [response_row(record, spec) for record in records])
            done = {
                "key": key,
                "seconds": round(before + time.perf_counter() - started, 3),
                "tokens": store.spent()[1],
                "provenance": task.dataset.provenance,
                "engine": lm.used,
            }
            if spec.answer == "number":
                done["generated"] = sum(_length(self._tokenizer, record) for record in records)
            if window is not None:
                done["available"] = self._windows.available[spec.name]
                done["price"] = row_price(self._tokenizer, records) if window[0] == 0 else None
            write_json(folder / _MARKER, done)
            return done

        return self._group.first(write)

    def _task(self, spec: DatasetSpec, window: Window | None) -> tuple[Any, float]:
        """Return the task of a dataset and the seconds that reading its rows took."""
        if (spec.name, window) not in self._tasks:
            started = time.perf_counter()
            if window is not None:
                self._windows.set(spec.name, window)
            task = self._harness.task(spec)
            self._tasks[spec.name, window] = task, time.perf_counter() - started
        return self._tasks[spec.name, window]


def _length(tokenizer: Any, record: Mapping[str, Any]) -> int:
    """Return the number of tokens of a generated text."""
    return len(tokenizer.encode(record["filtered_resps"][0], add_special_tokens=False))


def part_folder(parts: Path, dataset: str, window: Window | None) -> Path:
    """Return the folder of a dataset's rows below ``parts``. Rows of a window have a folder of their own."""
    return parts / dataset if window is None else parts / dataset / f"{window[0]}-{window[1]}"


def part_key(identity: Mapping[str, Any], spec: DatasetSpec, window: Window | None) -> str:
    """Return the digest of everything that determines the scores of a dataset's rows."""
    rows = {} if window is None else {"rows": list(window)}
    return digest({**identity, "task": spec.fingerprint, **rows})


def finished(folder: Path, key: str) -> dict[str, Any] | None:
    """Return the record of finished rows of a dataset, or None if they are unfinished or belong to another model."""
    try:
        done: dict[str, Any] = read_json(folder / _MARKER)
    except CMEError:
        return None
    return done if done.get("key") == key else None


def pick_device(device: str | None, group: Group) -> str:
    """Return the requested device, or by default the first GPU, or the CPU if there is none.

    If several processes use ``cuda``, each gets a different GPU.

    Args:
        device: PyTorch's name of the device, or None for the default.
        group: the processes that share the work.

    Raises:
        UsageError: if this machine has fewer GPUs than processes.
    """
    chosen = _pick(device)
    if group.size == 1 or chosen != "cuda":
        return chosen
    import torch
    import torch.distributed as dist

    number = dist.get_node_local_rank()
    if number >= torch.cuda.device_count():
        raise UsageError(
            f"there is no GPU for process {number}, because this machine has {torch.cuda.device_count()}. Start fewer "
            "processes, or set --device cpu."
        )
    return f"cuda:{number}"
