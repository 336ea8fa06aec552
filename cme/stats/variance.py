"""Variance of weighted means of datasets, from clustered samples and from training seeds."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cme.stats.panel import Array, Panel

__all__ = [
    "PRIOR_FREEDOM",
    "Seeds",
    "cluster_freedom",
    "combined_quantile",
    "paired_by_seed",
    "residuals",
    "sample_variances",
    "satterthwaite",
    "seed_share",
    "seed_variances",
]


PRIOR_FREEDOM = 4.0
"""Weight of the mean over the table's rows in a row's seed variance, in degrees of freedom."""


@dataclass(frozen=True, eq=False)
class Seeds:
    """The variance of the rows' means over S seeds that is due to the seeds. All values are 0 for an untrained row.

    A variance from two or three runs is too uncertain for a sound interval, and is often far too small. It is therefore raised
    towards the mean over the rows of the table where it is smaller (`seed_variances`).

    Attributes:
        variance: Seed variance of the means, without the sampling noise that the sample variance contains, [R].
        observed: The same with the noise, [R]. The share of the seeds in the total is computed from it, so that a row whose
            noise exceeds the spread of its runs still gets the critical values of few seeds.
        freedom: Degrees of freedom, [R]; 0 for an untrained row and if no row has several seeds.
        pooled: Degrees of freedom of all rows together, Σ (S − 1). If it is 0, the seed variance of trained rows is unknown.
    """

    variance: Array
    observed: Array
    freedom: Array
    pooled: float

    def share(self, sample: Array) -> Array:
        """Return the share of the seeds in the variance of each row's mean, [R].

        Args:
            sample: Variance from samples, [R].
        """
        return seed_share(self.observed, sample + self.variance)


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


def paired_by_seed(panel: Panel) -> NDArray[np.intp] | None:
    """Return the runs by trained row and seed, [R, S], if differences between rows are compared within each seed.

    Runs with equal labels saw the same examples in the same order (`cme.stats.make_panel`), so what a seed adds to all rows
    cancels in a difference. Pairs are only used if the trained rows have the same seeds and (R − 1)(S − 1) degrees of freedom
    are left that suffice for a variance. This depends on the table's shape and not on its scores, so it does not choose the
    smaller of two variances.
    """
    runs = panel.paired_runs()
    if runs is None or (runs.shape[0] - 1) * (runs.shape[1] - 1) < PRIOR_FREEDOM:
        return None
    return runs


def seed_variances(panel: Panel, weights: Array, paired: NDArray[np.intp] | None = None) -> Seeds:
    """Compute the variance that is due to the seeds, for the mean of each row over its runs.

    Samples and seeds are crossed, so the sum of both variances would count their interaction twice. It is subtracted once, as in
    two-way clustering (Cameron, Gelbach and Miller, Robust Inference With Multiway Clustering, JBES 29, 2011).

    The variance between single runs is moderated (Smyth, Linear Models and Empirical Bayes Methods, Statistical Applications in
    Genetics and Molecular Biology 3, 2004, with a fixed prior): with the variance v between the S runs of a row, d = S − 1, and
    the mean P of all v weighted by d, it is the largest of v, (4 P + d v) / (4 + d) and the sampling noise. A trained row with
    one seed thus gets P, and its noise is the mean noise of the others. A row alone in its table keeps its own variance. This
    assumes that seeds move all methods about alike; a much noisier method is covered less often. The freedom is 4 + d, and at
    most that of P, which is Σ d, or less if rows have the same seeds (`_shared_freedom`).

    With ``paired``, the variance is that of a difference between two of the rows: what a seed adds to all rows is left out, as in
    a two-way analysis of variance without interaction. v is then the sum of the squared residuals of a row divided by
    d = (S − 1)(R − 1) / R.

    Args:
        panel: The scores.
        weights: Weights of the datasets, [D].
        paired: The runs from `paired_by_seed`, [R, S]. None takes the seeds of different rows as independent.
    """
    seeds = np.asarray(panel.seeds, dtype=np.float64)
    trained = np.asarray(panel.trained)
    freedom = np.where(trained, seeds - 1, 0.0)
    if paired is not None:
        freedom *= 1 - 1 / len(paired)
    divisor = np.where(freedom > 0, freedom, 1.0)
    centred = residuals(panel, weights @ panel.means, paired)
    noise = np.zeros_like(centred)
    for weight, sizes, deviations in zip(weights, panel.sizes, panel.deviations, strict=True):
        if weight:
            noise += weight**2 * sample_variances(residuals(panel, deviations, paired), sizes)
    # The mean of the squares times S/(S − 1) is the sample variance.
    between = panel.over_seeds(np.square(centred)) * seeds / divisor
    noise = panel.over_seeds(noise) * seeds / divisor
    pooled = float(freedom.sum())
    if not pooled:
        zero = np.zeros_like(seeds)
        return Seeds(zero, zero, zero, 0.0)
    mean = freedom @ between / pooled
    noise = np.where(freedom > 0, noise, freedom @ noise / pooled)
    moderated = (PRIOR_FREEDOM * mean + freedom * between) / (PRIOR_FREEDOM + freedom)
    runs = np.where(trained, np.maximum(np.maximum(between, moderated), noise), 0.0)
    variance = np.where(trained, runs - noise, 0.0) / seeds
    known = pooled if paired is not None else min(pooled, _shared_freedom(panel, weights @ panel.means))
    return Seeds(variance, runs / seeds, np.where(trained, np.minimum(PRIOR_FREEDOM + freedom, known), 0.0), pooled)


def _shared_freedom(panel: Panel, means: Array) -> float:
    """Return the degrees of freedom of the mean variance between seeds, with what a seed adds to all rows that have it.

    Seeds that move all rows alike tell little more about the variance than the runs of one row. The mean variance is Q / D, with
    the squares Q = yᵀ M y of the runs y about the means of their rows, and D = tr(M). If a run is the sum of its row, its seed
    (variance b) and the rest (variance e), Satterthwaite's formula gives the freedom tr(M V)² / tr((M V)²) with V = b Z Zᵀ + e I,
    where Z has a column for each seed. b and e are estimated from Q and from what is left after row and seed. With the same S
    seeds in all R rows, the freedom lies between S − 1, if the rows move alike, and R (S − 1).

    Args:
        panel: The panel.
        means: Mean of each run, [T].

    Returns:
        The freedom. It is infinite if the seeds are unknown, or no two rows share two seeds: then nothing limits it.
    """
    counts = np.asarray(panel.seeds)
    several = panel.over_runs((np.asarray(panel.trained) & (counts > 1)).astype(np.float64)) > 0
    seeds = [seed for seed, used in zip(panel.labels, several, strict=False) if used]
    if not seeds or None in seeds:
        return math.inf
    rows = np.repeat(np.arange(len(counts)), counts)[several]
    of_seed = (np.array(seeds)[:, None] == np.array(list(dict.fromkeys(seeds)))).astype(np.float64)
    within = np.eye(len(rows)) - (rows[:, None] == rows) / counts[rows]
    # The projections on what varies within rows, and on what is left of it without the seeds.
    of_seeds = within @ of_seed
    left = within - of_seeds @ np.linalg.pinv(of_seeds)
    total, rest = np.trace(within), np.trace(left)
    if rest < 0.5:
        return math.inf
    runs = means[several]
    squares = runs @ within @ runs
    if squares <= 0:
        return float(total)
    noise = runs @ left @ runs / rest
    shared = (squares - noise * total) / np.trace(of_seeds @ of_seeds.T)
    spread = within @ (shared * of_seed @ of_seed.T + noise * np.eye(len(rows)))
    return float(squares**2 / np.trace(spread @ spread))


def residuals(panel: Panel, runs: Array, paired: NDArray[np.intp] | None = None) -> Array:
    """Return what each run adds to the mean of its row, and with ``paired`` also to the mean of its seed over the rows.

    Args:
        panel: The panel.
        runs: A value of each run, [..., T].
        paired: The runs from `paired_by_seed`, [R, S].
    """
    own = runs - panel.over_runs(panel.over_seeds(runs))
    if paired is not None:
        own[..., paired] -= own[..., paired].mean(axis=-2, keepdims=True)
    return own


def seed_share(observed: Array, total: Array) -> Array:
    """Return the share of the seeds in a variance, at most 1; 0 if the variance is 0.

    Args:
        observed: Variance between the seeds with sampling noise.
        total: Variance from samples and seeds.
    """
    share: Array = np.minimum(np.divide(observed, total, out=np.zeros_like(total), where=total > 0), 1.0)
    return share


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


def combined_quantile(share: Array, of_sample: Array, of_seeds: Array) -> Array:
    """Compute the critical value of an estimate whose variance is a well-known part plus a part from very few seeds.

    The value is the mean of the quantiles of both parts, weighted by their shares in the variance. A single t quantile with
    Satterthwaite's degrees of freedom for the total has a coverage down to 92 % with two degrees of freedom in the seeds.

    Args:
        share: Share of the seeds in the variance, from 0 to 1.
        of_sample: Quantile of the sample part.
        of_seeds: Quantile of the seed part, from Student's t.

    Source: Cochran and Cox, Experimental Designs, 2nd edition (1957).
    """
    # The quantile of a part without a share may be infinite.
    share, of_sample, of_seeds = np.broadcast_arrays(share, of_sample, of_seeds)
    sampled = np.multiply(1 - share, of_sample, out=np.zeros(share.shape), where=share < 1)
    seeded = np.multiply(share, of_seeds, out=np.zeros(share.shape), where=share > 0)
    quantile: Array = sampled + seeded
    return quantile
