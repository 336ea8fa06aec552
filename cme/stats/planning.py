"""How many seeds and samples a comparison of two methods needs, from the variances of a pilot."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cme.errors import UsageError
from cme.stats.allocation import row_variances
from cme.stats.panel import Array, Panel, weight_vector
from cme.stats.variance import (
    PRIOR_FREEDOM,
    combined_quantile,
    paired_by_seed,
    residuals,
    sample_variances,
    satterthwaite,
    seed_share,
)

__all__ = ["ALPHA", "PAIRED_FROM", "Components", "best_split", "components"]

ALPHA = 0.05
"""Level of the planned test."""

PAIRED_FROM = int(PRIOR_FREEDOM) + 1
"""The fewest seeds from which a comparison of two methods pairs equal seeds (`cme.stats.variance.paired_by_seed`)."""

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
        within: the components if what a seed adds to both methods is left out, which counts from `PAIRED_FROM` seeds on; None if
            the pilot has too few equal seeds to tell (`cme.stats.variance.paired_by_seed`).
    """

    datasets: tuple[str, ...]
    seeds: float
    shared: Array
    own: Array
    pilots: int
    freedom: int
    within: "Components | None" = None

    def of(self, seeds: float) -> "Components":
        """Return the components that count for a comparison with this number of seeds: these, or those within a seed."""
        return self if self.within is None or seeds < PAIRED_FROM else self.within

    def samples(self, each: int, available: Mapping[str, int]) -> Array:
        """Return the samples of each dataset if there are ``each`` of them or all that a dataset has, [D]."""
        return np.array([float(min(each, available[name])) for name in self.datasets])

    def variance(self, seeds: float, samples: Array) -> float:
        """Return the variance of the difference."""
        parts = self.of(seeds)
        return parts.seeds / seeds + float(((parts.shared + parts.own / seeds) / samples).sum())

    def seeds_outweigh(self, seeds: int) -> float:
        """Return the samples of each dataset from which the seeds cause most of the variance: (S Σ b + Σ g) / a."""
        parts = self.of(seeds)
        return (seeds * float(parts.shared.sum()) + float(parts.own.sum())) / parts.seeds

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

        The comparison computes the seed variance from few runs (`cme.stats.variance.seed_variances`), so its interval varies. If
        it pairs equal seeds, what is left of the runs of one method is the negative of that of the other, so their variances are
        equal.
        """
        from scipy.special import chdtri, ndtri, stdtrit

        parts, own = self.of(seeds), seeds - 1.0
        noise = float((parts.own / samples).sum()) / 2
        chances = (np.arange(_GRID) + 0.5) / _GRID
        spread = (parts.seeds / 2 + noise) * chdtri(own, 1 - chances) / own
        if parts is self:
            between = np.stack(np.meshgrid(spread, spread), axis=-1).reshape(-1, 2)
            pooled = 2 * own
        else:
            between, pooled = np.stack([spread, spread], axis=-1), own
        of_row = pooled / 2
        mean = between.mean(axis=-1, keepdims=True)
        moderated = (PRIOR_FREEDOM * mean + of_row * between) / (PRIOR_FREEDOM + of_row)
        runs = np.maximum(np.maximum(between, moderated), noise)
        of_samples = float(((parts.shared + parts.own / seeds) / samples).sum())
        variance = of_samples + (runs - noise).sum(axis=-1) / seeds
        freedom = np.minimum(satterthwaite(runs, np.full(2, min(PRIOR_FREEDOM + of_row, pooled))), pooled)
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
    are means over the methods, or over their pairs. Equal seeds of the pilot also give the components within a seed.

    Args:
        panel: the scores of at least two methods. Rows without training are left out.
        weights: weight of each dataset.

    Raises:
        UsageError: there are fewer than two trained methods, none has several seeds, or a dataset has a single cluster.
    """
    vector = weight_vector(panel, weights)
    used = [int(k) for k in np.flatnonzero(vector)]
    trained, seeds = np.asarray(panel.trained), np.asarray(panel.seeds, dtype=np.float64)
    if trained.sum() < 2:
        raise UsageError("a plan needs a pilot of at least two trained methods. Give the results of another method.")
    if not (trained & (seeds > 1)).any():
        raise UsageError(
            "a plan needs at least one method with several seeds, because the seed variance is otherwise unknown. Give "
            "NAME=RESULT,RESULT with the results of two or more seeds."
        )
    if single := [panel.datasets[k] for k in used if len(panel.sizes[k]) < 2]:
        raise UsageError(
            f"all samples of {', '.join(single)} share one cluster, so their variance is unknown. Leave them out."
        )
    apart = _components(panel, vector, used, None)
    runs = paired_by_seed(panel)
    return apart if runs is None else replace(apart, within=_components(panel, vector, used, runs))


def _components(panel: Panel, vector: Array, used: list[int], paired: NDArray[np.intp] | None) -> Components:
    """Estimate the components, and with ``paired`` those of differences within a seed.

    Args:
        panel: the scores.
        vector: weights of the datasets, [D].
        used: indices of the datasets with a weight.
        paired: the runs from `cme.stats.variance.paired_by_seed`, [R, S], or None.
    """
    trained, seeds = np.asarray(panel.trained), np.asarray(panel.seeds, dtype=np.float64)
    freedom = np.where(trained, seeds - 1, 0.0)
    if paired is not None:
        freedom *= 1 - 1 / len(paired)
    divisor = np.where(freedom > 0, freedom, 1.0)
    samples = np.array([panel.sizes[k].sum() for k in used])
    noise = np.stack(
        [
            panel.over_seeds(
                vector[k] ** 2 * sample_variances(residuals(panel, panel.deviations[k], paired), panel.sizes[k])
            )
            * seeds
            / divisor
            for k in used
        ],
        axis=-1,
    )
    between = panel.over_seeds(np.square(residuals(panel, vector @ panel.means, paired))) * seeds / divisor
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
    pilots = int((trained & (seeds > 1)).sum())
    return Components(names, 2 * seed_variance, shared, 2 * own, pilots, round(total))


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
        S* and n*. Without variance between seeds, S* is 1. With components within a seed, they are used from `PAIRED_FROM` seeds
        on, and the better of both plans is returned.
    """
    apart = _best_split(parts, budget, training, sample)
    within = None if parts.within is None else _best_split(parts.within, budget, training, sample)
    if within is None:
        return apart
    if within[0] < PAIRED_FROM:
        each = (budget / PAIRED_FROM - training) / sample
        if each <= 0:
            return apart
        within = PAIRED_FROM, each
    if apart[0] >= PAIRED_FROM:
        return within

    def variance(split: tuple[float, float]) -> float:
        return parts.variance(split[0], np.full(len(parts.datasets), split[1]))

    return min(apart, within, key=variance)


def _best_split(parts: Components, budget: float, training: float, sample: float) -> tuple[float, float]:
    shared, own = float(parts.shared.sum()), float(parts.own.sum())
    if parts.seeds <= 0:
        return 1.0, max((budget - training) / sample, 0.0)
    samples = math.sqrt((own * training + shared * budget) / (parts.seeds * sample))
    return budget / (training + sample * samples), samples
