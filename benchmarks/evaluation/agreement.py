"""Agreement of the answers of lm-eval and CME."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from benchmarks.evaluation.rows import Part
from cme.suite.metrics import choose

__all__ = ["TIE", "Agreement", "Differing", "compare", "joined"]

TIE = 2e-4
"""Largest difference of tied options, in nats. If the log-probabilities of both sides agree within half of this value, the sides
can only choose different options if these are tied."""


@dataclass(frozen=True)
class Differing:
    """A row for which the two sides choose different options.

    Attributes:
        id: Id of the row.
        stock: The option that lm-eval chooses.
        engine: The option that CME chooses.
        margin: Difference of lm-eval's log-probabilities of its own option and of CME's, in nats.
        tie: Whether the two options are equal within `TIE` for each side.
    """

    id: str
    stock: int
    engine: int
    margin: float
    tie: bool


@dataclass(frozen=True)
class Agreement:
    """The agreement of the answers of both sides.

    Attributes:
        gap: Largest absolute difference of two log-probabilities, in nats. None for generated texts.
        decisions: Rows for which the sides choose different options.
        texts: Ids of the rows whose generated texts differ.
    """

    gap: float | None
    decisions: tuple[Differing, ...] = ()
    texts: tuple[str, ...] = ()


def compare(part: Part, stock: Sequence[Any], engine: Sequence[Any]) -> Agreement:
    """Compare the answers of both sides, request by request.

    Args:
        part: The requests.
        stock: The answers of lm-eval.
        engine: The answers of CME.
    """
    rows = [request.doc["id"] for request in part.requests]
    answered = list(zip(rows, stock, engine, strict=True))
    if part.kind == "generate":
        return Agreement(None, texts=tuple(row for row, one, other in answered if one != other))
    gap = max(abs(one[0] - other[0]) for _, one, other in answered)
    decisions: list[Differing] = []
    for row, items in groupby(answered, key=lambda item: item[0]):
        values = [(one[0], other[0]) for _, one, other in items]
        decisions += _decided(row, [one for one, _ in values], [other for _, other in values])
    return Agreement(gap, tuple(decisions))


def _decided(row: str, stock: Sequence[float], engine: Sequence[float]) -> Iterable[Differing]:
    one, other = choose(stock), choose(engine)
    if one != other:
        margins = stock[one] - stock[other], engine[other] - engine[one]
        yield Differing(row, one, other, margins[0], max(margins) <= TIE)


def joined(rounds: Sequence[Agreement]) -> Agreement:
    """Combine the agreements of several rounds: the largest gap, and every row that differed in any round."""
    gaps = [item.gap for item in rounds if item.gap is not None]
    decisions = {differing.id: differing for item in rounds for differing in item.decisions}
    texts = dict.fromkeys(row for item in rounds for row in item.texts)
    return Agreement(max(gaps, default=None), tuple(decisions.values()), tuple(texts))
