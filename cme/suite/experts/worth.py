"""What a router is worth: the routed adapter against plain LoRA exports of it, on the same samples."""

from collections.abc import Sequence

import numpy as np

from cme.records.analysis import Interval
from cme.stats.means import weighted_means
from cme.suite.experts.redundancy import combined
from cme.suite.experts.scores import ScoreTable

__all__ = ["FAMILY", "METRICS", "ROUTED", "router_worth"]

ROUTED = "routed"
"""Name of the evaluation of the routed adapter."""

FAMILY = "family"
"""The export with one adapter for each family, so its user must know the task. It is no alternative to a router."""


METRICS = ("average", "soft")
"""The averages in which the routed adapter and its exports are compared."""


def router_worth(table: ScoreTable, *, intervals: bool) -> tuple[dict[str, Interval], dict[str, str]]:
    """Compute what the router is worth: the routed adapter minus the best export with a single adapter.

    The best of m exports is chosen on the same samples. The differences from all m have simultaneous intervals at level 95 % by
    Bonferroni's correction, so the smallest lower end and the smallest upper end contain the smallest difference.

    Args:
        table: the scores, with the evaluation ``routed``.
        intervals: whether to compute intervals.

    Returns:
        The values for ``average`` and ``soft``, and the best export of each. Both are empty if there is no single adapter.
    """
    names = [name for name in table.evaluations if name not in (ROUTED, FAMILY)]
    worth, best = {}, {}
    if names:
        unit = np.eye(len(table.evaluations))
        routed = unit[table.evaluations.index(ROUTED)]
        for metric in METRICS:
            means = weighted_means(table.values(metric), table.clusters, table.weights)
            lost = {
                name: combined(means, routed - unit[table.evaluations.index(name)], intervals, alpha=0.05 / len(names))
                for name in names
            }
            best[metric] = min(lost, key=lambda name: lost[name].value)
            worth[metric] = Interval(
                value=lost[best[metric]].value,
                low=_least([item.low for item in lost.values()]),
                high=_least([item.high for item in lost.values()]),
            )
    return worth, best


def _least(ends: Sequence[float | None]) -> float | None:
    known = [end for end in ends if end is not None]
    return min(known) if len(known) == len(ends) else None
