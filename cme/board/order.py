"""Whether two bases put the methods into the same order."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cme.stats import Estimate
from cme.stats.panel import Array

__all__ = ["Agreement", "agreement"]

_DRAWS = 10_000


@dataclass(frozen=True)
class Agreement:
    """The rank correlation of the scores on two bases.

    Attributes:
        rows: number of methods.
        value: Spearman's rank correlation; None with fewer than two methods, or if all scores on a base are equal.
        low, high: 95 % interval for the noise of samples and seeds; None without standard errors.
    """

    rows: int
    value: float | None
    low: float | None
    high: float | None


def agreement(
    first: Sequence[Estimate], second: Sequence[Estimate], *, draws: int = _DRAWS, seed: int = 0
) -> Agreement:
    """Compute the rank correlation of the scores of the same methods on two bases.

    The interval has the central 95 % of the correlations of drawn scores, which are normal around the measured ones. The errors
    of two rows are drawn independently. On one base they share their samples, so the true interval is narrower.

    Args:
        first: scores on one base.
        second: scores of the same rows on the other base.
        draws: number of draws.
        seed: seed of the draws.
    """
    means = np.array([[item.value for item in scores] for scores in (first, second)])
    if means.shape[1] < 2:
        return Agreement(means.shape[1], None, None, None)
    value = _spearman(means[0][None], means[1][None])[0]
    errors = [[item.stderr for item in scores] for scores in (first, second)]
    if np.isnan(value) or any(error is None for scores in errors for error in scores):
        return Agreement(means.shape[1], None if np.isnan(value) else float(value), None, None)
    noise = np.random.default_rng(seed).standard_normal((2, draws, means.shape[1]))
    drawn = means[:, None, :] + noise * np.array(errors, dtype=float)[:, None, :]
    low, high = np.nanpercentile(_spearman(drawn[0], drawn[1]), (2.5, 97.5))
    return Agreement(means.shape[1], float(value), round(float(low), 6), round(float(high), 6))


def _spearman(first: Array, second: Array) -> Array:
    """Return the rank correlation of each row; NaN for a row in which all values are equal."""
    from scipy.stats import rankdata

    ranks = [rankdata(values, axis=1) for values in (first, second)]
    centred = [item - item.mean(axis=1, keepdims=True) for item in ranks]
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.sqrt((centred[0] ** 2).sum(axis=1) * (centred[1] ** 2).sum(axis=1))
        correlations: Array = (centred[0] * centred[1]).sum(axis=1) / spread
    return correlations
