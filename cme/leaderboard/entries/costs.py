"""What a row cost: by its training runs, and by measurements of its method against LoRA."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from cme.records import Entry, Ratio

__all__ = ["RowCost", "RunRatio", "cost_of", "measured", "rank_of", "run_ratios", "scale_of", "total_rank"]

_RANK_OPTIONS = ("target_r", "r")

Measured = tuple[float, float | None, float | None]
"""A ratio to LoRA of equal total rank with the ends of its confidence interval."""


@dataclass(frozen=True)
class RowCost:
    """What the training of a row cost; None where it is not recorded.

    Attributes:
        trainable: parameters that are trained.
        trainable_percent: of the base's parameters.
        saved: parameters in the adapter as saved, mean over the runs (what AdaLoRA prunes may depend on the seed).
        seconds: of training, mean over the runs.
        tokens_per_second: mean over the runs.
        peak_bytes: most over the runs.
        device: of all runs; several are named one after the other.
        threads: the same.
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
    """Training time of a row over that of a LoRA row, by their runs' clocks."""

    value: float
    reference: str


def cost_of(entry: Entry) -> RowCost:
    """The cost of a row over its runs."""
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
    """Every method that CME names says ``rank``; of PEFT's own configurations ``r``, and AdaLoRA's ends at ``target_r``."""
    if entry.settings.rank is not None:
        return entry.settings.rank
    given = (entry.settings.options.get(key) for key in _RANK_OPTIONS)
    return next((rank for rank in given if isinstance(rank, int) and not isinstance(rank, bool)), None)


def total_rank(entry: Entry) -> int | None:
    """Rank of all experts together."""
    rank, experts = rank_of(entry), entry.settings.experts
    return rank if rank is None or experts is None else rank * experts


def scale_of(entry: Entry) -> float | None:
    """Alpha / rank, by which the adapter's output is multiplied; None where the settings lack one of them."""
    alpha, rank = entry.settings.alpha, entry.settings.rank
    return None if alpha is None or not rank else alpha / rank


def measured(entry: Entry, quantity: str) -> Measured | None:
    """A ratio to LoRA of equal total rank, measured by ``cme bench adapters``; None: not given.

    Args:
        entry: the row.
        quantity: train, prefill, decode or memory.
    """
    ratio: Ratio | None = getattr(entry.cost_ratios, quantity)
    return None if ratio is None else (ratio.value, ratio.low, ratio.high)


def run_ratios(entries: Sequence[Entry]) -> dict[str, RunRatio]:
    """Training times over that of the LoRA row whose number of parameters is nearest, by name.

    Only between rows with the same number of steps whose runs all had the same device, threads, type and number of processes.
    """
    loras = [(cost_of(entry), entry) for entry in entries if entry.method == "lora"]
    found = {}
    for entry in entries:
        own, alike = cost_of(entry), _conditions(entry)
        if own.seconds is None or own.trainable is None or alike is None:
            continue
        near = [
            (abs(cost.trainable - own.trainable), lora.name, cost.seconds)
            for cost, lora in loras
            if cost.trainable is not None and cost.seconds and _conditions(lora) == alike
        ]
        if near:
            _, reference, seconds = min(near)
            found[entry.name] = RunRatio(own.seconds / seconds, reference)
    return found


def _conditions(entry: Entry) -> tuple[str, ...] | None:
    """What training times depend on beside the method; None if the runs differ in it."""
    every = set()
    for run in entry.runs:
        training = run.provenance.training
        known = run.cost.device, training.threads, training.world_size, run.cost.steps
        every.add(tuple(map(str, known)))
    return (*every.pop(), str(entry.recipe.dtype)) if len(every) == 1 else None


def _mean(values: Sequence[float | None]) -> float | None:
    """The mean; None if a run has no value."""
    known = [value for value in values if value is not None]
    return fmean(known) if known and len(known) == len(values) else None


def _joined(values: Iterable[str | int | None]) -> str | None:
    known = list(dict.fromkeys(str(value) for value in values if value is not None))
    return ", ".join(known) or None
