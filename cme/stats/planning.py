"""How many seeds and samples a comparison of two methods needs, from the variances of a pilot."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cme.errors import UsageError
from cme.stats.allocation import row_variances
from cme.stats.panel import Array, Panel, weight_vector
from cme.stats.variance import PRIOR_FREEDOM, combined_quantile, residuals, sample_variances, satterthwaite, seed_share

__all__ = ["ALPHA", "Components", "best_split", "components"]

ALPHA = 0.05
"""Level of the planned test."""

_GRID = 24
_HALVINGS = 50


@dataclass(frozen=True, eq=False)
class Components:
    """The variance of the difference of two methods with S seeds each: a/S + Σ (b_k + g_k/S) / n_k, in squared points.

    Attributes:
        datasets: names of the datasets, [D].
        seeds: a: twice the variance between the seeds of a method.
        shared: b_k: variance of one sample's difference that all seeds share, [D].
        own: g_k: variance of one sample's difference that differs between seeds, [D].
        pilots: number of methods with several seeds from which ``seeds`` comes.
        freedom: degrees of freedom of ``seeds``.
    """

    datasets: tuple[str, ...]
    seeds: float
    shared: Array
    own: Array
    pilots: int
    freedom: int

    def samples(self, each: int, available: Mapping[str, int]) -> Array:
        """Return the samples of each dataset if there are ``each`` of them or all that a dataset has, [D]."""
        return np.array([float(min(each, available[name])) for name in self.datasets])

    def variance(self, seeds: int, samples: Array) -> float:
        """Return the variance of the difference."""
        return self.seeds / seeds + float(((self.shared + self.own / seeds) / samples).sum())

    def seeds_outweigh(self, seeds: int) -> float:
        """Return the samples of each dataset from which the seeds cause most of the variance: (S Σ b + Σ g) / a."""
        return (seeds * float(self.shared.sum()) + float(self.own.sum())) / self.seeds

    def detectable(self, seeds: int, samples: Array, power: float) -> float:
        """Return the difference that a comparison of two methods finds significant with the given power.

        The power is the mean over the seed variances that the comparison may compute from S runs. One seed tells nothing about
        other seeds, so the difference is then that between these two runs.

        Args:
            seeds: seeds of each method, S.
            samples: samples of each dataset, [D].
            power: probability of a significant difference, between 0 and 1.
        """
        from scipy.special import ndtr, ndtri

        if seeds == 1:
            normal = float(ndtri(1 - ALPHA / 2) + ndtri(power))
            return normal * math.sqrt(float(((self.shared + self.own) / samples).sum()))
        halves, stderr = self._half_widths(seeds, samples), math.sqrt(self.variance(seeds, samples))
        if stderr == 0:
            return float(halves.max())
        low, high = 0.0, float(halves.max()) + 10 * stderr
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            if float(ndtr((middle - halves) / stderr).mean()) < power:
                low = middle
            else:
                high = middle
        return high

    def _half_widths(self, seeds: int, samples: Array) -> Array:
        """Return the half-widths of the interval for equally likely pairs of variances between the runs of both methods.

        The comparison computes the seed variance from few runs (`cme.stats.variance.seed_variances`), so its interval varies.
        """
        from scipy.special import chdtri, ndtri, stdtrit

        own = seeds - 1.0
        noise = float((self.own / samples).sum()) / 2
        chances = (np.arange(_GRID) + 0.5) / _GRID
        spread = (self.seeds / 2 + noise) * chdtri(own, 1 - chances) / own
        between = np.stack(np.meshgrid(spread, spread), axis=-1).reshape(-1, 2)
        mean = between.mean(axis=-1, keepdims=True)
        moderated = (PRIOR_FREEDOM * mean + own * between) / (PRIOR_FREEDOM + own)
        runs = np.maximum(np.maximum(between, moderated), noise)
        of_samples = float(((self.shared + self.own / seeds) / samples).sum())
        variance = of_samples + (runs - noise).sum(axis=-1) / seeds
        freedom = np.minimum(satterthwaite(runs, np.full(2, min(PRIOR_FREEDOM + own, 2 * own))), 2 * own)
        share = seed_share(runs.sum(axis=-1) / seeds, variance)
        of_seeds = stdtrit(np.maximum(freedom, 1.0), 1 - ALPHA / 2)
        of_sample = np.full_like(of_seeds, float(ndtri(1 - ALPHA / 2)))
        half_widths: Array = combined_quantile(share, of_sample, of_seeds) * np.sqrt(variance)
        return half_widths

    def needed(self, seeds: int, difference: float, power: float, available: Mapping[str, int]) -> int | None:
        """Return the fewest samples of each dataset that detect a difference, or None if all samples do not.

        Args:
            seeds: seeds of each method.
            difference: the difference in points.
            power: probability of a significant difference, between 0 and 1.
            available: all samples of each dataset.
        """
        low, high = 1, max(available[name] for name in self.datasets)
        if self.detectable(seeds, self.samples(high, available), power) > difference:
            return None
        while low < high:
            middle = (low + high) // 2
            if self.detectable(seeds, self.samples(middle, available), power) > difference:
                low = middle + 1
            else:
                high = middle
        return low


def components(panel: Panel, weights: Mapping[str, float]) -> Components:
    """Estimate the components of the variance from a pilot.

    With the variance v between the S runs of a method and the noise τ that the samples cause in v, a method's seed variance is
    v − τ, and its own sample variance is n τ. What remains of the variance of the paired differences is shared by the seeds. All
    are means over the methods, or over their pairs.

    Args:
        panel: the scores of at least two methods. Rows without training are left out.
        weights: weight of each dataset.

    Raises:
        UsageError: there are fewer than two trained methods, none has several seeds, or a dataset has a single cluster.
    """
    vector = weight_vector(panel, weights)
    used = [int(k) for k in np.flatnonzero(vector)]
    trained, seeds = np.asarray(panel.trained), np.asarray(panel.seeds, dtype=np.float64)
    several = trained & (seeds > 1)
    if trained.sum() < 2:
        raise UsageError("a plan needs a pilot of at least two trained methods. Give the results of another method.")
    if not several.any():
        raise UsageError(
            "a plan needs at least one method with several seeds, because the seed variance is otherwise unknown. Give "
            "NAME=RESULT,RESULT with the results of two or more seeds."
        )
    if single := [panel.datasets[k] for k in used if len(panel.sizes[k]) < 2]:
        raise UsageError(
            f"all samples of {', '.join(single)} share one cluster, so their variance is unknown. Leave them out."
        )
    divisor = np.maximum(seeds - 1, 1.0)
    samples = np.array([panel.sizes[k].sum() for k in used])
    noise = np.stack(
        [
            panel.over_seeds(vector[k] ** 2 * sample_variances(residuals(panel, panel.deviations[k]), panel.sizes[k]))
            * seeds
            / divisor
            for k in used
        ],
        axis=-1,
    )
    between = panel.over_seeds(np.square(residuals(panel, vector @ panel.means))) * seeds / divisor
    freedom = np.where(several, seeds - 1, 0.0)
    total = freedom.sum()
    mean_noise = freedom @ noise / total
    seed_variance = max(float(freedom @ between / total - mean_noise.sum()), 0.0)
    own = mean_noise * samples
    first, second = np.triu_indices(len(panel.rows), 1)
    both = trained[first] & trained[second]
    pairs = row_variances(panel, vector)[both][:, used] * vector[used] ** 2
    # The mean over S runs contains 1/S of each method's own part.
    shared = np.maximum(pairs - own * (1 / seeds[first] + 1 / seeds[second])[both][:, None], 0.0).mean(axis=0)
    names = tuple(panel.datasets[k] for k in used)
    return Components(names, 2 * seed_variance, shared, 2 * own, int(several.sum()), int(total))


def best_split(parts: Components, budget: float, training: float, sample: float) -> tuple[float, float]:
    """Split a budget between seeds and samples so that the variance of the difference is smallest.

    With the cost C of training one run, the cost c of evaluating one sample of every dataset, and the budget B for each method:
    n* = √((g C + b B) / (a c)) and S* = B / (C + c n*).

    Args:
        parts: the components of the variance, for datasets that have enough samples.
        budget: B, for one method.
        training: C.
        sample: c.

    Returns:
        S* and n*. Without variance between seeds, S* is 1.
    """
    shared, own = float(parts.shared.sum()), float(parts.own.sum())
    if parts.seeds <= 0:
        return 1.0, max((budget - training) / sample, 0.0)
    samples = math.sqrt((own * training + shared * budget) / (parts.seeds * sample))
    return budget / (training + sample * samples), samples
