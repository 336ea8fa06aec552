"""The record of a measurement: the costs of all datasets, the times of all rounds, and the environment."""

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
    """The costs of one side.

    Attributes:
        seconds: Time of each round, in seconds.
        counts: Amount of computation in a round.
    """

    seconds: tuple[float, ...]
    counts: Counts


@dataclass(frozen=True)
class DatasetCost:
    """The costs of one dataset.

    Attributes:
        dataset: Name of the dataset.
        kind: ``choice`` or ``generate``.
        multi_token: Whether an option has more than one token.
        rows: Number of rows.
        requests: Number of requests: one per option, or one per generated text.
        stock: Costs of lm-eval.
        engine: Costs of CME.
        ratio: Time of lm-eval divided by that of CME, as the median of the ratios of the rounds.
        agreement: Agreement of the answers over all rounds.
        used: The code that answered for CME (see `cme.evaluation.engine.lm.PrefixLM.used`).
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
        """Description of the expected answers."""
        if self.kind == "generate":
            return "texts"
        return "options of several tokens" if self.multi_token else "options of one token"


@dataclass(frozen=True)
class Total:
    """The total costs of a group of datasets.

    Attributes:
        name: Name of the group.
        datasets: Number of datasets.
        rows: Number of rows of all datasets.
        stock: Sum of the costs of lm-eval.
        engine: Sum of the costs of CME.
        ratio: Ratio of the summed times, as the median of the ratios of the rounds.
        gap: Largest difference of log-probabilities, in nats. None for generated texts.
        decisions: Number of rows for which the sides choose different options.
        ties: Number of these rows whose options are tied.
        texts: Number of generated texts that differ.
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
    """A complete measurement.

    Attributes:
        settings: The settings of the measurement.
        surroundings: The environment of the measurement.
        batches: The batch sizes that lm-eval used.
        datasets: Costs of the datasets.
        totals: Costs of groups of datasets.
        growth: Growth of time with rows and options.
        memory: Peak memory of each side. It is empty if the system does not report it.
        memory_kind: Definition of the memory: ``resident set`` or ``CUDA allocator``.
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
        """Return the report as plain JSON values."""
        return {"kind": _KIND, "schema_version": _SCHEMA_VERSION, **asdict(self)}


def ratio(stock: Sequence[float], engine: Sequence[float]) -> float:
    """Return the median of the ratios of the rounds."""
    return statistics.median(one / other for one, other in zip(stock, engine, strict=True))


_GROUPS: dict[str, Callable[[DatasetCost], bool]] = {
    "choices": lambda cost: cost.kind == "choice",
    "choices, options of one token": lambda cost: cost.kind == "choice" and not cost.multi_token,
    "choices, options of several tokens": lambda cost: cost.multi_token,
    "texts": lambda cost: cost.kind == "generate",
}


def totals(costs: Sequence[DatasetCost]) -> list[Total]:
    """Compute the totals of all groups that have a dataset."""
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
