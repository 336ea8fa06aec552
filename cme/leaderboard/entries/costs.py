"""What a row cost: by its training runs, and by measurements of its method against LoRA."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from cme.records import Entry

__all__ = ["Cost", "RunRatio", "cost_of", "measured", "number", "part", "rank_of", "run_ratios", "total_rank", "whole"]

_RANK_OPTIONS = ("target_r", "r")

Measured = tuple[float, float | None, float | None]
"""A ratio to LoRA of equal total rank with the ends of its confidence interval."""


@dataclass(frozen=True)
class Cost:
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


def cost_of(entry: Entry) -> Cost:
    """The cost of a row over its runs."""
    first = entry.runs[0].cost
    costs = [run.cost for run in entry.runs]
    saved = _mean(costs, "saved_parameters")
    peaks = [peak for cost in costs if (peak := whole(cost, "peak_memory_bytes")) is not None]
    return Cost(
        trainable=whole(first, "trainable_parameters"),
        trainable_percent=number(first, "trainable_share"),
        saved=None if saved is None else round(saved),
        seconds=_mean(costs, "wall_seconds"),
        tokens_per_second=_mean(costs, "tokens_per_second"),
        peak_bytes=max(peaks, default=None),
        device=_joined(cost.get("device") for cost in costs),
        threads=_joined(part(run.provenance, "training").get("threads") for run in entry.runs),
    )


def rank_of(entry: Entry) -> int | None:
    """Every method that CME names says ``rank``; of PEFT's own configurations ``r``, and AdaLoRA's ends at ``target_r``."""
    if (rank := whole(entry.settings, "rank")) is not None:
        return rank
    options = part(entry.settings, "options")
    return next((rank for key in _RANK_OPTIONS if (rank := whole(options, key)) is not None), None)


def total_rank(entry: Entry) -> int | None:
    """Rank of all experts together."""
    rank, experts = rank_of(entry), whole(entry.settings, "experts")
    return rank if rank is None or experts is None else rank * experts


def measured(entry: Entry, quantity: str) -> Measured | None:
    """A ratio to LoRA of equal total rank, measured by ``cme bench adapters``; None: not given.

    Args:
        entry: the row.
        quantity: train, prefill, decode or memory.
    """
    found = part(entry.cost_ratios, quantity)
    value = number(found, "value")
    return None if value is None else (value, number(found, "low"), number(found, "high"))


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


def _conditions(entry: Entry) -> tuple[Any, ...] | None:
    """What training times depend on beside the method; None if the runs differ in it."""
    every = set()
    for run in entry.runs:
        training = part(run.provenance, "training")
        known = run.cost.get("device"), training.get("threads"), training.get("world_size"), run.cost.get("steps")
        every.add(tuple(map(str, known)))
    return (*every.pop(), str(entry.recipe.get("dtype"))) if len(every) == 1 else None


def number(values: Mapping[str, Any], key: str) -> float | None:
    """A number that others recorded; None if there is none, or something else stands there."""
    value = values.get(key)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def whole(values: Mapping[str, Any], key: str) -> int | None:
    """The same for a whole number."""
    value = values.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def part(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A mapping that others recorded; an empty one if something else stands there."""
    value = values.get(key)
    return value if isinstance(value, Mapping) else {}


def _mean(costs: Sequence[Mapping[str, Any]], key: str) -> float | None:
    values = [value for cost in costs if (value := number(cost, key)) is not None]
    return fmean(values) if values and len(values) == len(costs) else None


def _joined(values: Iterable[Any]) -> str | None:
    known = list(dict.fromkeys(str(value) for value in values if value is not None))
    return ", ".join(known) or None
