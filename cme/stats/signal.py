"""Signal-to-noise of a weighted mean of datasets: how far rows differ, relative to how far the seeds of a row differ."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from cme.stats.panel import Panel, weight_vector
from cme.stats.variance import paired_by_seed, residuals

__all__ = ["CEILING", "NEAR_CHANCE", "Limit", "Signal", "limit_of", "signal_to_noise"]

CEILING = 95.0
"""Score in points from which a row is at the ceiling."""

NEAR_CHANCE = 3.0
"""Distance in points up to which a row is at chance."""

Limit = Literal["ceiling", "chance"]

_ROUNDING = 1e-9
"""A standard deviation below this share of the largest possible score is a rounding error."""


@dataclass(frozen=True)
class Signal:
    """Analysis of variance of the runs of trained rows, in the unit of the weights (points if they sum to 100).

    With R rows, S_m runs of row m and N runs in all, the mean square between rows is Σ S_m (row mean − mean)² / (R − 1), and the
    mean square within rows is Σ (run − its row's mean)² / (N − R). All runs answered the same samples, so what a sample adds to
    every run cancels. A sample that suits one row counts as a difference of rows: the ratio is about these samples.

    If the rows have the same seeds (`cme.stats.variance.paired_by_seed`), what a seed adds to all rows is left out. The second
    mean square is then Σ (run − its row's mean − its seed's mean + mean)² / ((R − 1)(S − 1)).

    Attributes:
        ratio: F, the mean square between rows over that of the seeds. It is 1 on average if no row differs from another by more
            than its seeds do. None if the mean square of the seeds is 0.
        rows: standard deviation between rows without what seeds explain: the square root of (mean square between − mean square
            within) / S, and 0 if that is negative. S is the number of runs per row; (N − Σ S_m² / N) / (R − 1) if it differs.
        seeds: standard deviation between runs of one row: the square root of the mean square of the seeds.
        freedom: degrees of freedom of both mean squares, R − 1 and N − R or (R − 1)(S − 1).
        paired: whether what a seed adds to all rows is left out.
        critical: value that F exceeds in 5 % of tables whose rows are equal, if the runs are normally distributed.

    Source: Fisher's analysis of variance; the estimate of the variance component for unequal numbers of runs is that of Searle,
    Casella and McCulloch, Variance Components (1992), section 3.6.
    """

    ratio: float | None
    rows: float
    seeds: float
    freedom: tuple[int, int]
    critical: float
    paired: bool = False


def signal_to_noise(panel: Panel, weights: Mapping[str, float]) -> Signal | None:
    """Compare the spread of trained rows with that of their seeds.

    Args:
        panel: The scores. Rows without training are left out.
        weights: Weight of each dataset (`average_weights`, or ``{dataset: 100.0}`` for one dataset).

    Returns:
        The ratio and both spreads. None with fewer than two trained rows, or if each of them has one run.

    Raises:
        UsageError: The weights do not fit the panel.

    Example:
        >>> from cme.stats import make_panel
        >>> scores = {"a": {"d": [[0.0, 0.0], [1.0, 0.0]]}, "b": {"d": [[1.0, 1.0], [1.0, 0.0]]}}
        >>> signal_to_noise(make_panel(scores, {"d": ["x", "y"]}), {"d": 100.0}).ratio
        2.0
    """
    from scipy.special import fdtri

    vector = weight_vector(panel, weights)
    counts = np.asarray(panel.seeds)[list(panel.trained)]
    rows, runs, paired = len(counts), int(counts.sum()), paired_by_seed(panel)
    freedom = rows - 1, runs - rows if paired is None else (rows - 1) * (paired.shape[1] - 1)
    if min(freedom) < 1:
        return None
    averages = vector @ panel.means
    of_rows = panel.over_seeds(averages)
    deviations = residuals(panel, averages, paired)[np.repeat(panel.trained, panel.seeds)]
    within = float(deviations @ deviations) / freedom[1]
    means = of_rows[list(panel.trained)]
    centred = means - counts @ means / runs
    between = float(counts @ np.square(centred)) / freedom[0]
    per_row = (runs - float(np.square(counts).sum()) / runs) / freedom[0]
    nothing = (_ROUNDING * float(vector.sum())) ** 2
    return Signal(
        ratio=between / within if within > nothing else None,
        rows=math.sqrt(max(between - within, 0.0) / per_row),
        seeds=math.sqrt(within),
        freedom=freedom,
        critical=float(fdtri(*freedom, 0.95)),
        paired=paired is not None,
    )


def limit_of(values: Sequence[float], chance: float) -> Limit | None:
    """Return the limit at which all scores lie, so that they cannot tell rows apart.

    Args:
        values: The score of each trained row, in points.
        chance: Expected score of guessing, in points.

    Returns:
        ``ceiling`` if all are at least `CEILING`, ``chance`` if all are within `NEAR_CHANCE` of chance, otherwise None. None
        without scores.
    """
    if values and min(values) >= CEILING:
        return "ceiling"
    if values and max(abs(value - chance) for value in values) <= NEAR_CHANCE:
        return "chance"
    return None
