"""Weighted means of datasets (a dataset, a family, the CME average) with standard errors and confidence intervals."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cme.stats.panel import Array, Panel, weight_vector
from cme.stats.variance import cluster_freedom, combined_quantile, sample_variances, satterthwaite, seed_variances

__all__ = ["Estimate", "estimates"]

_ROUNDING = 1e-12
"""A share this near to 0 or 1 is 0 or 1."""


@dataclass(frozen=True)
class Estimate:
    """A row's score, in the unit of the weights (points, if they sum to 100).

    Attributes:
        row: name.
        value: the weighted mean, over all seeds.
        seeds: runs of the row.
        stderr: standard error from samples and, with several seeds, from seeds; None where there is none.
        sample_stderr: the part from samples; None where there is none.
        seed_stderr: the part from seeds; None with one seed: then the interval is about this run, not about the method.
        low, high: confidence interval; None where there is no standard error.
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
    """Estimate a weighted mean of datasets for every row; datasets are independent samples.

    The interval is a score interval (Wilson 1927) at the effective sample size p(1 − p)/stderr², with Student's t at
    Satterthwaite degrees of freedom for the normal quantile (`combined_quantile` with several seeds): it stays within the
    range of the scores, and covers near its ends, where value ± t · stderr does not (arXiv 2503.01747).

    Args:
        panel: the scores, in [0, 1].
        weights: dataset → weight (`average_weights`; ``{dataset: 100.0}`` for one dataset).
        alpha: 1 − the level of confidence.
        with_stderr: False at tier smoke: too few samples for a standard error.

    Returns:
        One estimate per row. Without a standard error where a dataset has only one cluster.

    Raises:
        UsageError: the weights do not fit the panel.

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
    quantiles = combined_quantile(sample, stdtrit(freedom, level), seeds.variance, of_seeds)
    low, high = _score_interval(values, variance, vector.sum(), freedom, quantiles)
    known = np.isfinite(variance) & with_stderr
    found = []
    for k, row in enumerate(panel.rows):
        several = known[k] and panel.seeds[k] > 1
        found.append(
            Estimate(
                row=row,
                value=float(values[k]),
                seeds=panel.seeds[k],
                stderr=float(np.sqrt(variance[k])) if known[k] else None,
                sample_stderr=float(np.sqrt(sample[k])) if known[k] else None,
                seed_stderr=float(np.sqrt(seeds.variance[k])) if several else None,
                low=float(low[k]) if known[k] else None,
                high=float(high[k]) if known[k] else None,
            )
        )
    return tuple(found)


def _score_interval(
    values: Array, variances: Array, largest: float, freedom: Array, quantiles: Array
) -> tuple[Array, Array]:
    """All p with |p̂ − p| ≤ quantile · √(p(1 − p)/n), n = p̂(1 − p̂)/variance, on the scale [0, largest]."""
    shares = np.clip(values / largest, 0.0, 1.0)
    unit = shares * (1 - shares)
    # Nothing but 0 or 1: no variance to tell n, so it is the number of clusters.
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = np.where(unit > _ROUNDING, variances / largest**2 / unit, 1 / (freedom + 1))
    z = np.square(quantiles) * inverse
    centre = (shares + z / 2) / (1 + z)
    half = np.sqrt(z * unit + np.square(z) / 4) / (1 + z)
    return largest * np.maximum(centre - half, 0.0), largest * np.minimum(centre + half, 1.0)
