"""Weighted means of datasets, such as family scores and the CME average, with standard errors and confidence intervals."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cme.stats.panel import Array, Panel, weight_vector
from cme.stats.variance import cluster_freedom, combined_quantile, sample_variances, satterthwaite, seed_variances

__all__ = ["Estimate", "estimates"]

_ROUNDING = 1e-12
"""A share closer than this to 0 or 1 counts as 0 or 1."""


@dataclass(frozen=True)
class Estimate:
    """The score of a row in the unit of the weights, which is points if they sum to 100.

    Attributes:
        row: Name of the row.
        value: Weighted mean over all seeds.
        seeds: Number of runs of the row.
        stderr: Standard error from samples and, with several seeds, from seeds; None if it is unknown.
        sample_stderr: The part from samples; None if it is unknown.
        seed_stderr: The part from seeds, moderated by the other rows of the table (`cme.stats.variance.seed_variances`). A
            trained row with one seed borrows the mean of the others. None for an untrained row, and if no row of the table has
            several seeds; the interval then describes this run and not the method.
        low, high: Confidence interval; None without a standard error.
    """

    row: str
    value: float
    seeds: int
    stderr: float | None
    sample_stderr: float | None
    seed_stderr: float | None
    low: float | None
    high: float | None


def estimates(
    panel: Panel, weights: Mapping[str, float], *, alpha: float = 0.05, with_stderr: bool = True
) -> tuple[Estimate, ...]:
    """Estimate a weighted mean of datasets for every row. Datasets count as independent samples.

    The interval is a score interval (Wilson 1927) at the effective sample size p(1 − p)/stderr². In place of the normal quantile
    it uses Student's t with Satterthwaite degrees of freedom, or `combined_quantile` with several seeds. It stays within the
    range of the scores and keeps its coverage near the ends, where value ± t · stderr does not (arXiv 2503.01747).

    Args:
        panel: The scores, in [0, 1].
        weights: Weight of each dataset (`average_weights`, or ``{dataset: 100.0}`` for one dataset).
        alpha: 1 minus the confidence level.
        with_stderr: Whether to compute standard errors. Tier smoke has too few samples for them.

    Returns:
        One estimate per row, without a standard error if a dataset has a single cluster.

    Raises:
        UsageError: The weights do not fit the panel.

    Source: E. Miller, Adding Error Bars to Evals, arXiv 2411.00640, section 2.2.
    """
    from scipy.special import stdtrit

    vector = weight_vector(panel, weights)
    used = np.flatnonzero(vector)
    values = panel.over_seeds(vector @ panel.means)
    parts = np.stack(
        [vector[k] ** 2 * sample_variances(panel.over_seeds(panel.deviations[k]), panel.sizes[k]) for k in used],
        axis=-1,
    )
    seeds = seed_variances(panel, vector)
    sample, variance = parts.sum(axis=-1), parts.sum(axis=-1) + seeds.variance
    freedom = satterthwaite(parts, np.array([cluster_freedom(panel.sizes[k]) for k in used]))
    level = 1 - alpha / 2
    of_seeds = stdtrit(np.maximum(seeds.freedom, 1.0), level)
    quantiles = combined_quantile(seeds.share(sample), stdtrit(freedom, level), of_seeds)
    low, high = _score_interval(values, variance, vector.sum(), freedom, quantiles)
    known = np.isfinite(variance) & with_stderr
    scores = []
    for k, row in enumerate(panel.rows):
        of_method = known[k] and panel.trained[k] and seeds.pooled > 0
        scores.append(
            Estimate(
                row=row,
                value=float(values[k]),
                seeds=panel.seeds[k],
                stderr=float(np.sqrt(variance[k])) if known[k] else None,
                sample_stderr=float(np.sqrt(sample[k])) if known[k] else None,
                seed_stderr=float(np.sqrt(seeds.variance[k])) if of_method else None,
                low=float(low[k]) if known[k] else None,
                high=float(high[k]) if known[k] else None,
            )
        )
    return tuple(scores)


def _score_interval(
    values: Array, variances: Array, largest: float, freedom: Array, quantiles: Array
) -> tuple[Array, Array]:
    """Return the ends of the set of p with |p̂ − p| ≤ quantile · √(p(1 − p)/n), n = p̂(1 − p̂)/variance, in [0, largest]."""
    shares = np.clip(values / largest, 0.0, 1.0)
    unit = shares * (1 - shares)
    # If all scores are 0 or all are 1, there is no variance to compute n from, and n is the number of clusters.
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = np.where(unit > _ROUNDING, variances / largest**2 / unit, 1 / (freedom + 1))
    z = np.square(quantiles) * inverse
    centre = (shares + z / 2) / (1 + z)
    half = np.sqrt(z * unit + np.square(z) / 4) / (1 + z)
    return largest * np.maximum(centre - half, 0.0), largest * np.minimum(centre + half, 1.0)
