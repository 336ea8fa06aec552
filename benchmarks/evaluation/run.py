"""The complete measurement: lm-eval's best batch size, memory, times of both sides, and growth."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.evaluation.agreement import compare, joined
from benchmarks.evaluation.batches import best_batches
from benchmarks.evaluation.growth import measure_growth
from benchmarks.evaluation.memory import Memory, measure_memory, peak_of
from benchmarks.evaluation.opening import Opened, open_all
from benchmarks.evaluation.report import DatasetCost, EvalReport, Side, ratio, totals
from benchmarks.evaluation.rows import Part
from benchmarks.evaluation.settings import EvalBenchSettings
from benchmarks.evaluation.timing import ENGINE, SIDES, STOCK, Answered, both
from cme.progress import bar

__all__ = ["measure_evaluation"]

Round = dict[str, Answered]


def measure_evaluation(settings: EvalBenchSettings, *, command: Sequence[str] = ()) -> EvalReport:
    """Measure lm-eval's `HFLM` and CME's engine on the same requests with the same model, in one process.

    Args:
        settings: The settings of the measurement.
        command: The command line, for the record.

    Raises:
        CMEError: The base, the adapter, the device or the rows do not exist, or the model computes NaN.
    """
    opened = open_all(settings, command)
    lms = {side: opened.side(side) for side in SIDES}
    _warm_up(lms, opened.parts)
    choices = best_batches(lms[STOCK], opened.parts, settings.candidates(opened.surroundings.device))
    batches = {kind: choice.size for kind, choice in choices.items()}
    on_cpu = opened.surroundings.device == "cpu"
    # Memory comes first, because a process that fails then does not waste the other measurements.
    memory = measure_memory(settings, opened.parts, batches) if on_cpu else []
    rounds = _rounds(opened, batches, settings.rounds)
    growth = measure_growth(lms, opened.parts, batches["choice"], settings.rounds) if "choice" in batches else []
    costs = [_cost(part, [turn[part.dataset] for turn in rounds]) for part in opened.parts]
    return EvalReport(
        settings=settings,
        surroundings=opened.surroundings,
        batches=tuple(choices.values()),
        datasets=tuple(costs),
        totals=tuple(totals(costs)),
        growth=tuple(growth),
        memory=tuple(memory if on_cpu else _on_gpu(rounds)),
        memory_kind="resident set" if on_cpu else "CUDA allocator",
    )


def _warm_up(lms: Mapping[str, Any], parts: Sequence[Part]) -> None:
    """Answer a few requests of each kind, because the first pass is slower than later ones."""
    for kind in ("choice", "generate"):
        for part in [part for part in parts if part.kind == kind][:1]:
            both(lms, part.first(2), 1, turn=0)


def _rounds(opened: Opened, batches: Mapping[str, int], rounds: int) -> list[dict[str, Round]]:
    """Return the answers of each round by dataset and side. Each round has a new engine, which checks itself again."""
    taken = []
    with bar("lm-eval and CME", rounds * len(opened.parts)) as progress:
        for turn in range(rounds):
            lms = {side: opened.side(side) for side in SIDES}
            answers = {}
            for place, part in enumerate(opened.parts):
                progress.describe(f"lm-eval and CME: {part.dataset}")
                answers[part.dataset] = both(lms, part, batches[part.kind], turn + place)
                progress.advance()
            taken.append(answers)
    return taken


def _cost(part: Part, rounds: Sequence[Round]) -> DatasetCost:
    sides = {side: Side(tuple(turn[side].seconds for turn in rounds), rounds[0][side].counts) for side in SIDES}
    return DatasetCost(
        dataset=part.dataset,
        kind=part.kind,
        multi_token=part.multi_token,
        rows=len(part.ids),
        requests=len(part.requests),
        stock=sides[STOCK],
        engine=sides[ENGINE],
        ratio=ratio(sides[STOCK].seconds, sides[ENGINE].seconds),
        agreement=joined([compare(part, turn[STOCK].answers, turn[ENGINE].answers) for turn in rounds]),
        used=rounds[0][ENGINE].used,
    )


def _on_gpu(rounds: Sequence[Mapping[str, Round]]) -> list[Memory]:
    peaks = [peak_of(side, {name: both[side].peak_bytes for name, both in rounds[0].items()}) for side in SIDES]
    return [memory for memory in peaks if memory is not None]
