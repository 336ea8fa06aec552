"""How many samples of each dataset the next look needs: Neyman allocation by variance and price."""

from dataclasses import dataclass

import numpy as np

from cme.stats.panel import Array, Panel
from cme.stats.variance import sample_variances

__all__ = ["Allocation", "allocate", "row_variances", "shrunk"]

PSEUDO_ROWS = 64
"""Weight of the mean over the datasets in the variance of one dataset, in samples."""

_HALVINGS = 200


@dataclass(frozen=True, eq=False)
class Allocation:
    """What the allocation of samples to D datasets is computed from. K is the number of estimates, such as pairs of rows.

    Attributes:
        weights: Weights of the datasets, [D].
        variances: Variance of one sample of each estimate, [K, D].
        prices: Price of one sample of each dataset, [D]. Only their ratios matter.
        least: Fewest samples of each dataset: those that are already evaluated, [D].
        most: All samples of each dataset, [D].
    """

    weights: Array
    variances: Array
    prices: Array
    least: Array
    most: Array

    def variance(self, samples: Array) -> Array:
        """Return the predicted variance of each estimate with these numbers of samples, [D] → [K]."""
        predicted: Array = self.variances @ (np.square(self.weights) / samples)
        return predicted


def row_variances(panel: Panel, weights: Array) -> Array:
    """Return the variance of one sample's paired difference for every pair of rows, or of its score if there is one row.

    It is the cluster-robust variance of the mean times the number of samples, so it contains the correlation within clusters.

    Args:
        panel: The scores.
        weights: Weights of the datasets, [D].

    Returns:
        [K, D], with 0 for datasets without a weight, and NaN for datasets with one cluster.
    """
    first, second = np.triu_indices(len(panel.rows), 1)
    variances = np.zeros((max(len(first), 1), len(panel.datasets)))
    for k in np.flatnonzero(weights):
        rows = panel.over_seeds(panel.deviations[k])
        values = rows[:, first] - rows[:, second] if len(first) else rows
        variances[:, k] = panel.sizes[k].sum() * sample_variances(values, panel.sizes[k])
    return variances


def shrunk(variances: Array, samples: Array) -> Array:
    """Move each dataset's variance towards the mean of the datasets, as if that mean came from `PSEUDO_ROWS` more samples.

    A variance from 64 samples is uncertain. Without this, a dataset whose first samples happen to agree would get no more.

    Args:
        variances: Variance of one sample, [K, D].
        samples: Samples from which they were computed, [D].
    """
    mean = variances.mean(axis=-1, keepdims=True)
    moved: Array = (samples * variances + PSEUDO_ROWS * mean) / (samples + PSEUDO_ROWS)
    return moved


def allocate(given: Allocation, targets: Array) -> Array:
    """Choose the cheapest numbers of samples whose predicted variances meet the targets.

    For one estimate they are n = w · s / √(λ c), limited to the available samples, with the weight w, the standard deviation s
    and the price c of a sample; λ is bisected until the variance meets the target. With several estimates, s² is the mean of
    their variances, and λ is bisected until all of them meet their targets.

    Args:
        given: The variances and prices.
        targets: Largest variance of each estimate, [K].

    Returns:
        Whole numbers of samples, [D]; all available ones if even these do not meet the targets.

    Source: Neyman, On the Two Different Aspects of the Representative Method, Journal of the Royal Statistical Society 97
    (1934); with prices: Cochran, Sampling Techniques, 3rd edition (1977), section 5.5.
    """
    shape = given.weights * np.sqrt(given.variances.mean(axis=0) / given.prices)

    def samples(scale: float) -> Array:
        numbers: Array = np.clip(np.ceil(scale * shape), given.least, given.most)
        return numbers

    if np.any(given.variance(given.most) > targets) or not shape.any():
        return given.most
    # At the highest scale every dataset that has a variance is used up.
    low, high = 0.0, float(np.divide(given.most, shape, out=np.zeros_like(shape), where=shape > 0).max())
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if np.all(given.variance(samples(middle)) <= targets):
            high = middle
        else:
            low = middle
    return samples(high)
