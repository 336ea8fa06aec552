"""Whether two bases put the methods into the same order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from cme.leaderboard.ranking.comparison import Standing
from cme.leaderboard.ranking.numbers import ABSENT, estimate, interval
from cme.reports import markdown_table
from cme.stats.comparison import Comparison, Difference

__all__ = ["Agreement", "OnTwoBases", "agreement", "correlations", "decision", "on_two_bases", "order_text"]


@dataclass(frozen=True)
class Agreement:
    """The rank correlation of the scores on two bases.

    Attributes:
        rows: number of methods.
        value: Spearman's rank correlation; None with fewer than two methods, or if all scores on a base are equal.
    """

    rows: int
    value: float | None


@dataclass(frozen=True)
class OnTwoBases:
    """The difference of two methods on two bases.

    Attributes:
        metric: ``average`` or ``soft``.
        base, other_base: labels of the bases.
        one: the difference on the first base in points: the first method minus the second.
        other: the same on the other base.
    """

    metric: str
    base: str
    other_base: str
    one: Difference
    other: Difference


def agreement(first: Sequence[float], second: Sequence[float]) -> Agreement:
    """Compute the rank correlation of the scores of the same methods on two bases.

    Args:
        first: scores on one base.
        second: scores of the same rows on the other base.
    """
    from scipy.stats import spearmanr

    if any(len(set(values)) < 2 for values in (first, second)):
        return Agreement(len(first), None)
    return Agreement(len(first), round(float(spearmanr(first, second).statistic), 6))


def on_two_bases(standings: Mapping[str, Standing], names: Sequence[str]) -> list[OnTwoBases]:
    """Return the differences between every two methods on every two bases.

    Args:
        standings: the rows of each base.
        names: the methods, in the order of the board.

    Returns:
        The differences of the average, then those of the soft average. Rows that repeat the trainings of another one on one of
        the bases are left out.
    """
    found = []
    for base, other in combinations(standings, 2):
        for metric in ("average", "soft"):
            tables = [_by_pair(_comparison(standings[label], metric)) for label in (base, other)]
            found += [
                OnTwoBases(metric, base, other, tables[0][pair], tables[1][pair])
                for pair in combinations(names, 2)
                if all(pair in table for table in tables)
            ]
    return found


def decision(item: OnTwoBases) -> str:
    """Return whether two methods have the same order on two bases: ``yes``, ``no`` or ``not decided``.

    It is decided if the difference is significant on both, after the correction for all pairs of each base.
    """
    if not (item.one.significant and item.other.significant):
        return "not decided"
    return "yes" if item.one.value * item.other.value > 0 else "no"


def order_text(average: str, standings: Mapping[str, Standing], names: Sequence[str]) -> str:
    """Return the Markdown text about the order of the methods.

    Args:
        average: name of the suite's average.
        standings: the rows of each base.
        names: the methods, in the order of the board.
    """
    labels = list(standings)
    table = [[name, *(estimate(standings[label].averages[name]) for label in labels)] for name in names]
    ranks = [
        [base, other, str(item.rows), ABSENT if item.value is None else f"{item.value:.2f}"]
        for base, other, item in correlations(standings, names)
    ]
    text = (
        f"# Does the order hold?\n\n{average}s of the methods on each base.\n\n{markdown_table(['name', *labels], table)}\n\n"
        "Spearman's rank correlation of the averages on two bases. 1 means the same order, and −1 the opposite one. It does not "
        "say whether the order could be due to samples and seeds.\n\n"
        f"{markdown_table(['base', 'other base', 'methods', 'rank correlation'], ranks)}\n"
    )
    pairs = on_two_bases(standings, names)
    if not pairs:
        return text
    lines = [
        [
            item.one.first,
            item.one.second,
            "soft average" if item.metric == "soft" else average,
            item.base,
            _shown(item.one),
            item.other_base,
            _shown(item.other),
            decision(item),
        ]
        for item in pairs
    ]
    columns = ["first", "second", "score", "base", "difference", "other base", "difference there", "same order"]
    return (
        f"{text}\n## Differences between methods\n\nThe first method minus the second one in points, with the 95 % interval of "
        "this difference. The last column is *yes* or *no* if both differences are significant after the correction for all "
        f"pairs of their base.\n\n{markdown_table(columns, lines)}\n"
    )


def correlations(standings: Mapping[str, Standing], names: Sequence[str]) -> list[tuple[str, str, Agreement]]:
    """Return the rank correlation of every two bases. Rows that repeat the trainings of another one do not count.

    Args:
        standings: the rows of each base.
        names: the methods, in the order of the board.
    """
    found = []
    for base, other in combinations(standings, 2):
        # A row with the same trainings as another one has the same place, and is no evidence of its own.
        repeated = {*standings[base].repeated, *standings[other].repeated}
        own = [name for name in names if name not in repeated]
        scores = [[standings[label].averages[name].value for name in own] for label in (base, other)]
        found.append((base, other, agreement(*scores)))
    return found


def _comparison(standing: Standing, metric: str) -> Comparison | None:
    if metric == "average":
        return standing.comparison
    return standing.soft.comparison if standing.soft else None


def _by_pair(comparison: Comparison | None) -> dict[tuple[str, str], Difference]:
    found = {}
    for item in comparison.differences if comparison else ():
        found[item.first, item.second] = item
        found[item.second, item.first] = item.reversed()
    return found


def _shown(item: Difference) -> str:
    return interval(item.value, item.low, item.high)
