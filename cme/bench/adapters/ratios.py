"""Medians, quartiles and distribution-free confidence intervals of medians."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["LEVEL", "Interval", "Quartiles", "Ratio", "median_interval", "quartiles", "ratio_of"]

LEVEL = 0.95


@dataclass(frozen=True)
class Quartiles:
    """The first quartile, the median and the third quartile, linearly interpolated."""

    low: float
    median: float
    high: float


@dataclass(frozen=True)
class Interval:
    """A confidence interval of a median.

    Attributes:
        low: The lower end, which is an observed value.
        high: The upper end, which is an observed value.
        coverage: The probability that the interval contains the median. It is at least the requested level and usually higher,
            because the ends are observed values.
    """

    low: float
    high: float
    coverage: float


@dataclass(frozen=True)
class Ratio:
    """The time of one case divided by the time of a reference, computed for each round.

    Attributes:
        mode: One of `MODES`.
        case: Name of the case, whose time is the numerator.
        reference: Name of the reference, whose time is the denominator.
        quartiles: Quartiles of the ratios of the rounds. The median is the result.
        interval: Confidence interval of the median. None with fewer than 6 rounds, which are too few for this level.
        rounds: Number of rounds.
    """

    mode: str
    case: str
    reference: str
    quartiles: Quartiles
    interval: Interval | None
    rounds: int


def quartiles(values: Sequence[float]) -> Quartiles:
    """Compute the quartiles of at least two values."""
    return Quartiles(*statistics.quantiles(values, n=4, method="inclusive"))


def median_interval(values: Sequence[float], level: float = LEVEL) -> Interval | None:
    """Compute the confidence interval of the median from order statistics.

    Each of n independent values is below the median with probability 1/2, so the number of these values has a binomial
    distribution. The interval from the j-th smallest to the j-th largest value misses the median with probability
    2 · P(Bin(n, 1/2) < j) (Conover, Practical Nonparametric Statistics, section 3.2). j is the largest number for which this
    is at most 1 - level. For 20 values and a level of 95 %, j is 6 and the coverage is 95.9 %.

    Args:
        values: The values, in any order.
        level: The minimum coverage.

    Returns:
        The interval, or None if the interval from the smallest to the largest value does not have this coverage.
    """
    n = len(values)
    missed, below = 0.0, 0.0
    j = 0
    while j < n // 2:
        below += math.comb(n, j) / 2**n
        if 2 * below > 1 - level:
            break
        missed, j = 2 * below, j + 1
    if j == 0:
        return None
    ordered = sorted(values)
    return Interval(ordered[j - 1], ordered[n - j], 1 - missed)


def ratio_of(mode: str, case: str, reference: str, above: Sequence[float], below: Sequence[float]) -> Ratio:
    """Compute the ratio of the times of two cases, paired by round."""
    ratios = [one / other for one, other in zip(above, below, strict=True)]
    return Ratio(mode, case, reference, quartiles(ratios), median_interval(ratios), len(ratios))
