"""Differences between rows in what their experts do, tested over seeds."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from cme.leaderboard.ranking.comparison import Standing
from cme.leaderboard.ranking.experts import FIGURES, seed_figures
from cme.records import Entry
from cme.stats.compare import holm

__all__ = ["ExpertDifference", "expert_differences"]


@dataclass(frozen=True)
class ExpertDifference:
    """The difference of two rows in one figure.

    Attributes:
        first: name of a row.
        second: name of the other one.
        figure: name of the figure, a field of `cme.leaderboard.ranking.experts.RowExperts`.
        value: mean over the seeds of the first row minus that of the second one.
        low: lower end of its 95 % interval over seeds (Welch); None if the figure does not vary between seeds.
        high: upper end.
        p: p-value of Welch's t-test over the seeds; None without an interval.
        p_adjusted: the same after Holm's correction over all pairs of rows of this figure.
    """

    first: str
    second: str
    figure: str
    value: float
    low: float | None
    high: float | None
    p: float | None
    p_adjusted: float | None


def expert_differences(standing: Standing) -> list[ExpertDifference]:
    """Compare every two ranked rows of which at least two seeds were analysed.

    Args:
        standing: the compared rows.

    Returns:
        One difference for each pair and figure, ordered by pair. A figure that is undefined for a seed is left out, and so is the
        effective number of experts of rows with different numbers of experts.
    """
    rows = [row for row in standing.rows if sum(run.experts is not None for run in row.runs) > 1]
    pairs = list(combinations(rows, 2))
    found = {figure: _differences(pairs, figure) for figure in FIGURES}
    order = {(first.name, second.name): place for place, (first, second) in enumerate(pairs)}
    every = [item for items in found.values() for item in items]
    return sorted(every, key=lambda item: order[item.first, item.second])


def _differences(pairs: list[tuple[Entry, Entry]], figure: str) -> list[ExpertDifference]:
    tested = list(_tested(pairs, figure))
    places = [place for place, item in enumerate(tested) if item[5] is not None]
    adjusted: dict[int, float] = dict(
        zip(places, map(float, holm(np.array([tested[place][5] for place in places], dtype=float))), strict=True)
    )
    return [
        ExpertDifference(first, second, figure, value, low, high, p, adjusted.get(place))
        for place, (first, second, value, low, high, p) in enumerate(tested)
    ]


def _tested(
    pairs: list[tuple[Entry, Entry]], figure: str
) -> Iterator[tuple[str, str, float, float | None, float | None, float | None]]:
    from scipy.stats import ttest_ind

    for first, second in pairs:
        if figure == "effective" and _experts(first) != _experts(second):
            # From 1 to k, so the difference would mostly be that of k. The entropy / ln k compares such rows.
            continue
        one, other = _values(first, figure), _values(second, figure)
        if min(len(one), len(other)) < 2:
            continue
        value = float(np.mean(one) - np.mean(other))
        if np.ptp(one) == np.ptp(other) == 0:
            yield first.name, second.name, value, None, None, None
            continue
        test = ttest_ind(one, other, equal_var=False)
        span = test.confidence_interval(0.95)
        yield first.name, second.name, value, float(span.low), float(span.high), float(test.pvalue)


def _experts(row: Entry) -> set[int]:
    return {run.experts.experts for run in row.runs if run.experts is not None}


def _values(row: Entry, figure: str) -> list[float]:
    """Return the figure of each seed, or nothing if it is undefined for one of them."""
    values = [value for value, _, _ in seed_figures(row)[figure]]
    defined = [value for value in values if value is not None]
    return defined if len(defined) == len(values) else []
