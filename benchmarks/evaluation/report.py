"""A measurement of evaluations as a record: every figure, the times behind it, and what it ran on."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.evaluation.agreement import Agreement
from benchmarks.evaluation.batches import BatchChoice
from benchmarks.evaluation.growth import Point
from benchmarks.evaluation.memory import Memory
from benchmarks.evaluation.settings import EvalBenchSettings
from benchmarks.evaluation.timing import Counts
from cme.bench.adapters.report import Surroundings

__all__ = ["DatasetCost", "EvalReport", "Side", "Total", "ratio", "totals"]

_KIND, _SCHEMA_VERSION = "evaluation-costs", 1


@dataclass(frozen=True)
class Side:
    """What one side took.

    Attributes:
        seconds: of each round.
        counts: what it computed in a round.
    """

    seconds: tuple[float, ...]
    counts: Counts


@dataclass(frozen=True)
class DatasetCost:
    """One dataset, answered by both sides.

    Attributes:
        dataset: its name.
        kind: ``choice`` or ``generate``.
        multi_token: whether an option has more than one token.
        rows: how many.
        requests: how many: an option each, or a text.
        stock: lm-eval's side.
        engine: CME's.
        ratio: lm-eval's time over CME's, median of the rounds' ratios.
        agreement: of the answers, over all rounds.
        used: what answered on CME's side, see `cme.evaluation.engine.lm.PrefixLM.used`.
    """

    dataset: str
    kind: str
    multi_token: bool
    rows: int
    requests: int
    stock: Side
    engine: Side
    ratio: float
    agreement: Agreement
    used: str

    @property
    def answers(self) -> str:
        """What is asked for, in words."""
        if self.kind == "generate":
            return "texts"
        return "options of several tokens" if self.multi_token else "options of one token"


@dataclass(frozen=True)
class Total:
    """Several datasets together.

    Attributes:
        name: which.
        datasets: how many.
        rows: of all of them.
        stock: lm-eval's side: times and counts added up.
        engine: CME's.
        ratio: of the added times, median of the rounds' ratios.
        gap: the largest of their gaps; None for texts.
        decisions: rows that are decided differently.
        ties: how many of those are ties.
        texts: that differ.
    """

    name: str
    datasets: int
    rows: int
    stock: Side
    engine: Side
    ratio: float
    gap: float | None
    decisions: int
    ties: int
    texts: int


@dataclass(frozen=True)
class EvalReport:
    """A whole measurement.

    Attributes:
        settings: what was measured.
        surroundings: on what.
        batches: the batch sizes that lm-eval got.
        datasets: the costs.
        totals: of groups of datasets.
        growth: how time grows.
        memory: of each side; empty where the system does not tell.
        memory_kind: how memory was measured: ``resident set`` or ``CUDA allocator``.
    """

    settings: EvalBenchSettings
    surroundings: Surroundings
    batches: tuple[BatchChoice, ...]
    datasets: tuple[DatasetCost, ...]
    totals: tuple[Total, ...]
    growth: tuple[Point, ...]
    memory: tuple[Memory, ...]
    memory_kind: str

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"kind": _KIND, "schema_version": _SCHEMA_VERSION, **asdict(self)}


def ratio(stock: Sequence[float], engine: Sequence[float]) -> float:
    """Median of the rounds' ratios."""
    return statistics.median(one / other for one, other in zip(stock, engine, strict=True))


_GROUPS: dict[str, Callable[[DatasetCost], bool]] = {
    "choices": lambda cost: cost.kind == "choice",
    "choices, options of one token": lambda cost: cost.kind == "choice" and not cost.multi_token,
    "choices, options of several tokens": lambda cost: cost.multi_token,
    "texts": lambda cost: cost.kind == "generate",
}


def totals(costs: Sequence[DatasetCost]) -> list[Total]:
    """The groups of datasets of which there are any."""
    groups = {name: [cost for cost in costs if belongs(cost)] for name, belongs in _GROUPS.items()}
    return [_total(name, group) for name, group in groups.items() if group]


def _total(name: str, costs: Sequence[DatasetCost]) -> Total:
    stock, engine = _added([cost.stock for cost in costs]), _added([cost.engine for cost in costs])
    differing = [item for cost in costs for item in cost.agreement.decisions]
    return Total(
        name=name,
        datasets=len(costs),
        rows=sum(cost.rows for cost in costs),
        stock=stock,
        engine=engine,
        ratio=ratio(stock.seconds, engine.seconds),
        gap=max((cost.agreement.gap for cost in costs if cost.agreement.gap is not None), default=None),
        decisions=len(differing),
        ties=sum(item.tie for item in differing),
        texts=sum(len(cost.agreement.texts) for cost in costs),
    )


def _added(sides: Sequence[Side]) -> Side:
    seconds = tuple(sum(times) for times in zip(*(side.seconds for side in sides), strict=True))
    counts = (sum(getattr(side.counts, name) for side in sides) for name in ("forwards", "positions", "tokens"))
    return Side(seconds, Counts(*counts))
