"""What an adapter keeps if some of its experts are masked, with paired intervals over clusters of samples."""

from collections.abc import Mapping

import numpy as np

from cme.records.analysis import Interval, MaskScore, Share
from cme.stats.means import Means, ratio, weighted_means
from cme.suite.experts.masks import FULL
from cme.suite.experts.scores import METRICS, ScoreTable

__all__ = ["combined", "fieller", "mask_scores"]

_BASE = "base"


def mask_scores(table: ScoreTable, choices: Mapping[str, str | None], *, intervals: bool = True) -> list[MaskScore]:
    """Compare every evaluation with the full adapter and with the base.

    "Keeps x %" has two readings. The share of the score contains the base, which needs no adapter at all. The share of the
    gain, (masked − base) / (full − base), is 0 for the base. All evaluations have the same samples, so both shares use the
    paired covariance.

    Args:
        table: the scores, with the evaluations ``all`` and ``base``.
        choices: the experts of each evaluation to report, by name; None for all experts.
        intervals: whether to compute intervals.
    """
    means = {metric: weighted_means(table.values(metric), table.clusters, table.weights) for metric in METRICS}
    size = len(table.evaluations)
    unit = np.eye(size)
    full, base = (unit[place] for place in table.rows_of([FULL, _BASE]))
    scores = []
    for name, experts in choices.items():
        own = unit[table.evaluations.index(name)]
        scores.append(
            MaskScore(
                name=name,
                experts=experts or "",
                score={metric: combined(of, own, intervals) for metric, of in means.items()},
                difference={metric: combined(of, own - full, intervals) for metric, of in means.items()},
                share_of_score={metric: fieller(of, own, full, intervals) for metric, of in means.items()},
                share_of_gain={metric: fieller(of, own - base, full - base, intervals) for metric, of in means.items()},
            )
        )
    return scores


def combined(means: Means, coefficients: np.ndarray, intervals: bool, *, alpha: float = 0.05) -> Interval:
    """Return a linear combination of means with its interval from Student's t.

    Args:
        means: the means.
        coefficients: the coefficients, [K].
        intervals: whether to compute the interval.
        alpha: 1 minus the confidence level.
    """
    from scipy.special import stdtrit

    if not coefficients.any():
        return Interval(value=0.0, low=0.0 if intervals else None, high=0.0 if intervals else None)
    value = float(coefficients @ means.values)
    variance = float(coefficients @ means.covariance @ coefficients)
    if not intervals or not np.isfinite(variance):
        return Interval(value=value, low=None, high=None)
    freedom = float(means.freedom[coefficients != 0].min())
    half = float(stdtrit(freedom, 1 - alpha / 2)) * max(variance, 0.0) ** 0.5
    return Interval(value=value, low=value - half, high=value + half)


def fieller(means: Means, numerator: np.ndarray, denominator: np.ndarray, intervals: bool) -> Share:
    """Return the ratio of two linear combinations of means with Fieller's interval.

    Args:
        means: the means.
        numerator: coefficients of the numerator, [K].
        denominator: coefficients of the denominator, [K].
        intervals: whether to compute the interval.
    """
    quotient = ratio(means, numerator, denominator)
    if not intervals or quotient.low is None or quotient.high is None or not np.isfinite(quotient.low + quotient.high):
        return Share(value=quotient.value, low=None, high=None)
    return Share(value=quotient.value, low=quotient.low, high=quotient.high)
