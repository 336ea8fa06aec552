"""Do two sides say the same?"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from benchmarks.evaluation.rows import Part
from cme.suite.metrics import choose

__all__ = ["TIE", "Agreement", "Differing", "compare", "joined"]

TIE = 2e-4
"""Nats. Two sides whose log-probabilities agree within half of this can only differ about options that lie this near."""


@dataclass(frozen=True)
class Differing:
    """A row about which the two sides decide differently.

    Attributes:
        id: of the row.
        stock: the option that lm-eval takes.
        engine: the option that CME takes.
        margin: by how much (nats) lm-eval prefers its own to CME's.
        tie: whether each side holds the two options equal within `TIE`.
    """

    id: str
    stock: int
    engine: int
    margin: float
    tie: bool


@dataclass(frozen=True)
class Agreement:
    """How the two sides' answers agree.

    Attributes:
        gap: largest absolute difference of two log-probabilities, nats; None for texts.
        decisions: rows of choices that are decided differently.
        texts: ids of rows whose texts differ.
    """

    gap: float | None
    decisions: tuple[Differing, ...] = ()
    texts: tuple[str, ...] = ()


def compare(part: Part, stock: Sequence[Any], engine: Sequence[Any]) -> Agreement:
    """Compare the answers to a part, request by request.

    Args:
        part: what was asked.
        stock: lm-eval's answers.
        engine: CME's.
    """
    rows = [request.doc["id"] for request in part.requests]
    asked = list(zip(rows, stock, engine, strict=True))
    if part.kind == "generate":
        return Agreement(None, texts=tuple(row for row, one, other in asked if one != other))
    gap = max(abs(one[0] - other[0]) for _, one, other in asked)
    decisions: list[Differing] = []
    for row, items in groupby(asked, key=lambda item: item[0]):
        values = [(one[0], other[0]) for _, one, other in items]
        decisions += _decided(row, [one for one, _ in values], [other for _, other in values])
    return Agreement(gap, tuple(decisions))


def _decided(row: str, stock: Sequence[float], engine: Sequence[float]) -> Iterable[Differing]:
    one, other = choose(stock), choose(engine)
    if one != other:
        margins = stock[one] - stock[other], engine[other] - engine[one]
        yield Differing(row, one, other, margins[0], max(margins) <= TIE)


def joined(found: Sequence[Agreement]) -> Agreement:
    """Of several rounds: the largest gap, and every row that differed in any of them, once."""
    gaps = [item.gap for item in found if item.gap is not None]
    decisions = {differing.id: differing for item in found for differing in item.decisions}
    texts = dict.fromkeys(row for item in found for row in item.texts)
    return Agreement(max(gaps, default=None), tuple(decisions.values()), tuple(texts))
