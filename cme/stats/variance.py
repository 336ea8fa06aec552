"""Variance of weighted means of datasets, from clustered samples and from training seeds."""

from dataclasses import dataclass

import numpy as np

from cme.stats.panel import Array, Panel

__all__ = ["Seeds", "cluster_freedom", "combined_quantile", "sample_variances", "satterthwaite", "seed_variances"]


@dataclass(frozen=True, eq=False)
class Seeds:
    """The variance of a row's mean over S seeds that is due to the seeds. All values are 0 for a row with one seed.

    Attributes:
        spread: Sample variance of the runs' weighted means, divided by S, [R].
        noise: The part of the spread that is due to sampling, [R]. Runs that answer single samples differently also differ in
            their means.
        freedom: Degrees of freedom, S − 1, [R].
    """

    spread: Array
    noise: Array
    freedom: Array

    @property
    def variance(self) -> Array:
        """Seed variance, [R]: the spread minus the noise, which the sample variance already contains."""
        variance: Array = np.maximum(self.spread - self.noise, 0.0)
        return variance


def sample_variances(deviations: Array, sizes: Array) -> Array:
    """Compute the cluster-robust variance of means over the samples of one dataset.

    Args:
        deviations: Sums of deviations from the mean by cluster, [C, K].
        sizes: Samples in each cluster, [C].

    Returns:
        The variances, [K], which are the squares of `cme.stats.clustered_stderr`. They are NaN for one cluster.
    """
    count = len(sizes)
    if count < 2:
        return np.full(deviations.shape[1], np.nan)
    factor = count / (count - 1) / sizes.sum() ** 2
    variances: Array = factor * np.square(deviations).sum(axis=0)
    return variances


def cluster_freedom(sizes: Array) -> float:
    """Compute the degrees of freedom of a cluster-robust variance: C − 1 for C clusters of equal size, fewer otherwise.

    This is Satterthwaite's formula for a sum of squared cluster sums whose standard deviations are proportional to the sizes.

    Args:
        sizes: Samples in each cluster, [C].
    """
    squares = np.square(sizes)
    return float(max(squares.sum() ** 2 / np.square(squares).sum() - 1, 1.0))


def seed_variances(panel: Panel, weights: Array) -> Seeds:
    """Split the variance between the runs of each row into training noise and sampling noise.

    Samples and seeds are crossed, so the sum of both variances would count their interaction twice. It is subtracted once, as in
    two-way clustering (Cameron, Gelbach and Miller, Robust Inference With Multiway Clustering, JBES 29, 2011).

    Args:
        panel: The scores.
        weights: Weights of the datasets, [D].
    """
    seeds = np.asarray(panel.seeds, dtype=np.float64)
    freedom = seeds - 1
    divisor = np.maximum(freedom, 1.0)
    averages = weights @ panel.means
    centred = averages - panel.over_runs(panel.over_seeds(averages))
    noise = np.zeros_like(averages)
    for weight, sizes, deviations in zip(weights, panel.sizes, panel.deviations, strict=True):
        if weight:
            own = deviations - panel.over_runs(panel.over_seeds(deviations))
            noise += weight**2 * sample_variances(own, sizes)
    # The mean of the squares times S/(S − 1) is the sample variance. Divided by S, it is the variance of the mean.
    return Seeds(panel.over_seeds(np.square(centred)) / divisor, panel.over_seeds(noise) / divisor, freedom)


def satterthwaite(parts: Array, freedom: Array) -> Array:
    """Compute the degrees of freedom of a sum of independent variance estimates.

    Args:
        parts: The estimates, [..., K].
        freedom: Their degrees of freedom, [..., K], which are at least 1 for estimates that are not 0.

    Returns:
        (Σ parts)² / Σ parts²/freedom, [...], or Σ freedom if all parts are 0.

    Source: Satterthwaite, An Approximate Distribution of Estimates of Variance Components, Biometrics 2 (1946); Welch 1947.
    """
    largest = parts.max(axis=-1, keepdims=True)
    scaled = np.divide(parts, largest, out=np.zeros_like(parts), where=largest > 0)
    squares = (np.square(scaled) / np.maximum(freedom, 1.0)).sum(axis=-1)
    totals = np.broadcast_to(freedom, parts.shape).sum(axis=-1)
    result: Array = np.divide(np.square(scaled.sum(axis=-1)), squares, out=totals.astype(np.float64), where=squares > 0)
    return result


def combined_quantile(sample: Array, of_sample: Array, seeds: Array, of_seeds: Array) -> Array:
    """Compute the critical value of an estimate whose variance is a well-known part plus a part from very few seeds.

    The value is the mean of the quantiles of both parts, weighted by their variances. Its coverage is 95 to 97 %. A single t
    quantile with Satterthwaite's degrees of freedom for the total has a coverage down to 92 % with two degrees of freedom in the
    seeds.

    Args:
        sample: Variance from samples.
        of_sample: Quantile of the sample part.
        seeds: Variance from seeds, which is 0 for one seed.
        of_seeds: Quantile of the seed part, from Student's t.

    Source: Cochran and Cox, Experimental Designs, 2nd edition (1957).
    """
    total = sample + seeds
    share = np.divide(seeds, total, out=np.zeros_like(total), where=total > 0)
    quantile: Array = (1 - share) * of_sample + share * of_seeds
    return quantile
