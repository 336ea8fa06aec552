"""Several weighted means of datasets with their covariance, and ratios of such means with Fieller's interval."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cme.errors import UsageError
from cme.stats.panel import Array
from cme.stats.variance import cluster_freedom, satterthwaite

__all__ = ["Means", "Ratio", "ratio", "weighted_means"]


@dataclass(frozen=True, eq=False)
class Means:
    """K weighted means of datasets that were computed from the same samples.

    Attributes:
        values: The means, [K], in the unit of the weights.
        covariance: Their cluster-robust covariance over samples, [K, K]. NaN if a dataset has one cluster.
        freedom: Satterthwaite's degrees of freedom of each variance, [K].
    """

    values: Array
    covariance: Array
    freedom: Array

    @property
    def stderr(self) -> Array:
        """The standard errors, [K]."""
        errors: Array = np.sqrt(np.maximum(np.diag(self.covariance), 0.0))
        return errors

    def interval(self, alpha: float = 0.05) -> tuple[Array, Array]:
        """Return the ends of the confidence intervals from Student's t, each [K].

        Args:
            alpha: 1 minus the confidence level.
        """
        from scipy.special import stdtrit

        half = stdtrit(self.freedom, 1 - alpha / 2) * self.stderr
        return self.values - half, self.values + half


@dataclass(frozen=True)
class Ratio:
    """The ratio of two means.

    Attributes:
        value: The ratio; None if the denominator is 0.
        low, high: Fieller's interval; None if the interval of the denominator contains 0, so that any ratio is possible.
    """

    value: float | None
    low: float | None
    high: float | None

    @property
    def defined(self) -> bool:
        """Whether the ratio has an interval."""
        return self.low is not None


def weighted_means(
    values: Mapping[str, ArrayLike], clusters: Mapping[str, Sequence[str]], weights: Mapping[str, float]
) -> Means:
    """Compute weighted sums of the datasets' means for K quantities of each sample. Datasets are independent samples.

    Args:
        values: K values of each sample by dataset, [K, n].
        clusters: Cluster of each sample by dataset, [n].
        weights: Weight of each dataset (`cme.stats.average_weights`). Datasets without a weight are left out.

    Raises:
        UsageError: There are no weights, a dataset has no values, or the numbers of samples differ.

    Source: the cluster-robust covariance of arXiv 2411.00640, section 2.2, with the factor C/(C − 1) for C clusters.
    """
    if not weights:
        raise UsageError("there are no weights, so no mean can be computed. Give the weight of at least one dataset.")
    means, parts, freedoms = [], [], []
    for dataset, weight in weights.items():
        if dataset not in values:
            raise UsageError(f"there are no values of {dataset}. Evaluate it, or leave its weight out.")
        table = np.atleast_2d(np.asarray(values[dataset], dtype=np.float64))
        labels = np.asarray(clusters[dataset], dtype=object).astype(str)
        if table.shape[1] != len(labels):
            raise UsageError(f"{dataset} has {table.shape[1]} samples, but {len(labels)} clusters of samples.")
        _, index = np.unique(labels, return_inverse=True)
        sizes = np.bincount(index).astype(np.float64)
        mean = table.mean(axis=1)
        sums = np.stack([np.bincount(index, weights=row) for row in table - mean[:, None]])
        count = len(sizes)
        factor = count / (count - 1) / sizes.sum() ** 2 if count > 1 else math.nan
        means.append(weight * mean)
        parts.append(weight**2 * factor * (sums @ sums.T))
        freedoms.append(cluster_freedom(sizes))
    diagonals = np.stack([np.diag(part) for part in parts], axis=-1)
    return Means(np.sum(means, axis=0), np.sum(parts, axis=0), satterthwaite(diagonals, np.array(freedoms)))


def ratio(means: Means, numerator: ArrayLike, denominator: ArrayLike, *, alpha: float = 0.05) -> Ratio:
    """Compute the ratio of two linear combinations of means, with Fieller's confidence interval.

    Args:
        means: The means.
        numerator: Coefficients of the numerator, [K], such as (1, 0, −1) for the first mean minus the third.
        denominator: Coefficients of the denominator, [K].
        alpha: 1 minus the confidence level.

    Returns:
        The ratio. It has no interval if the denominator does not differ from 0 at this level.

    Source: E. C. Fieller, Some Problems in Interval Estimation, Journal of the Royal Statistical Society B 16 (1954).
    """
    from scipy.special import stdtrit

    both = np.stack([np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)])
    above, below = both @ means.values
    (v_above, v_both), (_, v_below) = both @ means.covariance @ both.T
    used = both.any(axis=0)
    quantile = float(stdtrit(means.freedom[used].min(), 1 - alpha / 2))
    if below == 0:
        return Ratio(None, None, None)
    value = float(above / below)
    g = quantile**2 * v_below / below**2
    if not g < 1:
        return Ratio(value, None, None)
    shift = v_both / v_below if v_below > 0 else 0.0
    inner = v_above - 2 * value * v_both + value**2 * v_below - g * (v_above - shift * v_both)
    half = quantile / abs(below) * math.sqrt(max(inner, 0.0))
    low, high = ((value - g * shift + sign * half) / (1 - g) for sign in (-1, 1))
    return Ratio(value, float(low), float(high))
