"""A bound on a difference from the number of clusters in which two rows differ, for rows that hardly ever differ."""

import numpy as np

from cme.stats.panel import Array, Panel

__all__ = ["half_width_bound"]

_ROUNDING = 1e-9
"""A cluster whose scores differ by less than this share of its samples counts as equal."""


def half_width_bound(panel: Panel, weights: Array, pair: tuple[int, int], value: float, alpha: float) -> float:
    """Return a half-width that an interval of the samples need not exceed.

    If two rows differ in one or two clusters only, most resamples of the bootstrap contain none of them, so its interval has no
    bound. The number of clusters in which they differ is a sum of independent events, so a Poisson interval bounds its
    expectation from above. Each such cluster changes the difference by at most the largest weight of a cluster.

    Args:
        panel: The scores, in [0, 1].
        weights: Weights of the datasets, [D].
        pair: Indices of the two rows.
        value: The observed difference.
        alpha: 1 minus the confidence level.

    Returns:
        |value| plus the bound on the true difference.

    Source: F. Garwood, Fiducial Limits for the Poisson Distribution, Biometrika 28 (1936). A sum of independent events spreads
    less than the Poisson distribution of the same mean (W. Hoeffding, Annals of Mathematical Statistics 27, 1956).
    """
    from scipy.special import gammaincinv

    first, second = pair
    means = panel.over_seeds(panel.means)
    differing, largest = 0, 0.0
    for k in np.flatnonzero(weights):
        sizes = panel.sizes[k]
        deviations = panel.over_seeds(panel.deviations[k])
        sums = deviations[:, first] - deviations[:, second] + sizes * (means[k, first] - means[k, second])
        differing += int(np.count_nonzero(np.abs(sums) > _ROUNDING * sizes))
        largest = max(largest, float(weights[k] * sizes.max() / sizes.sum()))
    return abs(value) + float(gammaincinv(differing + 1, 1 - alpha)) * largest
