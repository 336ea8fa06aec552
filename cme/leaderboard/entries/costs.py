"""Costs of a row: those of its training runs, and the measured costs of its method relative to LoRA."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from cme.records import Entry, Ratio
from cme.records.method import ranks_of

__all__ = [
    "RowCost",
    "RunRatio",
    "cost_of",
    "experts_of",
    "measured",
    "rank_of",
    "run_ratios",
    "scale_of",
    "total_rank",
]

_RANK_OPTIONS = ("target_r", "r")

Measured = tuple[float, float | None, float | None]
"""A ratio to LoRA of equal total rank with the ends of its confidence interval."""


@dataclass(frozen=True)
class RowCost:
    """The training costs of a row. A value is None if it was not recorded.

    Attributes:
        trainable: Number of trainable parameters.
        trainable_percent: Trainable parameters in percent of the base's parameters.
        saved: Number of parameters in the saved adapter, averaged over the runs. What AdaLoRA prunes may depend on the seed.
        seconds: Training time in seconds, averaged over the runs.
        tokens_per_second: Training throughput, averaged over the runs.
        peak_bytes: Peak memory in bytes, the maximum over the runs.
        device: Device of the runs. If they differ, all of them, separated by commas.
        threads: Number of CPU threads. If the runs differ, all of them, separated by commas.
    """

    trainable: int | None
    trainable_percent: float | None
    saved: int | None
    seconds: float | None
    tokens_per_second: float | None
    peak_bytes: int | None
    device: str | None
    threads: str | None


@dataclass(frozen=True)
class RunRatio:
    """The training time of a row divided by that of a LoRA row, from the times that their runs recorded."""

    value: float
    reference: str


def cost_of(entry: Entry) -> RowCost:
    """Summarise the costs of a row's runs."""
    first = entry.runs[0].cost
    costs = [run.cost for run in entry.runs]
    saved = _mean([cost.saved_parameters for cost in costs])
    peaks = [cost.peak_memory_bytes for cost in costs if cost.peak_memory_bytes is not None]
    return RowCost(
        trainable=first.trainable_parameters,
        trainable_percent=first.trainable_share,
        saved=None if saved is None else round(saved),
        seconds=_mean([cost.wall_seconds for cost in costs]),
        tokens_per_second=_mean([cost.tokens_per_second for cost in costs]),
        peak_bytes=max(peaks, default=None),
        device=_joined(cost.device for cost in costs),
        threads=_joined(run.provenance.training.threads for run in entry.runs),
    )


def rank_of(entry: Entry) -> int | None:
    """Return the rank: the setting ``rank``, or for the method ``peft`` the option ``target_r`` or ``r``; None without one."""
    if entry.settings.rank is not None:
        return entry.settings.rank
    given = (entry.settings.options.get(key) for key in _RANK_OPTIONS)
    return next((rank for rank in given if isinstance(rank, int) and not isinstance(rank, bool)), None)


def total_rank(entry: Entry) -> int | None:
    """Return the total rank of all experts; None if it differs by layer."""
    if entry.settings.options.get("experts_pattern"):
        return None
    rank, experts = rank_of(entry), entry.settings.experts
    own = ranks_of(entry.settings.method, entry.ranks) == "own"
    return rank * experts if own and rank is not None and experts is not None else rank


def experts_of(entry: Entry) -> tuple[int, int | None] | None:
    """Return the number of experts and the rank of each one; None for a row without experts."""
    if ranks_of(entry.settings.method, entry.ranks) == "single" and entry.settings.rank is not None:
        return entry.settings.rank, 1
    return None if entry.settings.experts is None else (entry.settings.experts, entry.settings.rank)


def scale_of(entry: Entry) -> float | None:
    """Return alpha / rank, the scaling of the adapter's output; None if the settings lack either."""
    alpha, rank = entry.settings.alpha, entry.settings.rank
    return None if alpha is None or not rank else alpha / rank


def measured(entry: Entry, quantity: str) -> Measured | None:
    """Return a cost relative to LoRA of equal total rank, as measured by ``cme bench adapters``; None if not measured.

    Args:
        entry: The entry.
        quantity: ``"train"``, ``"prefill"``, ``"decode"`` or ``"memory"``.
    """
    ratio: Ratio | None = getattr(entry.cost_ratios, quantity)
    return None if ratio is None else (ratio.value, ratio.low, ratio.high)


def run_ratios(entries: Sequence[Entry]) -> dict[str, RunRatio]:
    """Divide the training time of each entry by that of the LoRA entry with the nearest number of trainable parameters.

    Times are compared only between entries with the same mix, number of steps, device, threads and number of processes in all
    runs, and the same batches, longest example and dtype (`_CONDITIONS`). Entries with a measured ratio are left out: the
    clock of a run depends on what else the machine did, and the measurement of all methods in turns does not.

    Returns:
        The ratios by the entry's name. Entries without a comparable LoRA entry are left out.
    """
    loras = [(cost_of(entry), entry) for entry in entries if entry.method == "lora"]
    ratios = {}
    for entry in entries:
        own, alike = cost_of(entry), _conditions(entry)
        if own.seconds is None or own.trainable is None or alike is None or measured(entry, "train"):
            continue
        near = [
            (abs(cost.trainable - own.trainable), lora.name, cost.seconds)
            for cost, lora in loras
            if cost.trainable is not None and cost.seconds and _conditions(lora) == alike
        ]
        if near:
            _, reference, seconds = min(near)
            ratios[entry.name] = RunRatio(own.seconds / seconds, reference)
    return ratios


_CONDITIONS = (
    "dtype",
    "batch_size",
    "gradient_accumulation",
    "max_length",
    "gradient_checkpointing",
    "train_on_prompt",
)
"""Training settings on which the time of a run depends."""


def _conditions(entry: Entry) -> tuple[str, ...] | None:
    """Return what training times depend on besides the method; None if the runs of the entry differ in it."""
    every = set()
    for run in entry.runs:
        training = run.provenance.training
        known = run.cost.device, training.threads, training.world_size, run.cost.steps, training.mix_fingerprint
        every.add(tuple(map(str, known)))
    recipe = tuple(str(getattr(entry.recipe, name)) for name in _CONDITIONS)
    return (*every.pop(), *recipe) if len(every) == 1 else None


def _mean(values: Sequence[float | None]) -> float | None:
    """Return the mean; None if a run has no value."""
    known = [value for value in values if value is not None]
    return fmean(known) if known and len(known) == len(values) else None


def _joined(values: Iterable[str | int | None]) -> str | None:
    known = list(dict.fromkeys(str(value) for value in values if value is not None))
    return ", ".join(known) or None
