"""Comparison of all pairs of rows: paired differences, confidence intervals and corrected p-values."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cme.errors import UsageError
from cme.progress import bar
from cme.stats.bootstrap import Pairs, pair_variances, studentised
from cme.stats.comparison import Comparison, Difference
from cme.stats.critical import Critical
from cme.stats.discordance import half_width_bound
from cme.stats.panel import Array, Panel, weight_vector
from cme.stats.variance import Seeds, cluster_freedom, paired_by_seed, satterthwaite, seed_share, seed_variances

__all__ = ["by_student", "compare", "comparisons", "critical_values", "holm"]

_WIDE = 4.0
"""Half-width in standard errors from which `half_width_bound` is computed."""

_NOTHING = 1e-9
"""A difference or standard error below this share of the largest possible difference counts as a rounding error."""

_QUANTILES = 999
"""Number of quantiles of Student's t that stand in for resamples."""


def compare(
    panel: Panel, weights: Mapping[str, float], *, alpha: float = 0.05, resamples: int = 10_000, seed: int = 0
) -> Comparison:
    """Compare the weighted means of every pair of rows on the samples they share.

    Intervals and p-values come from the same symmetric studentised bootstrap, so p ≤ alpha if the interval excludes 0.
    Percentiles of |t| adapt to few, skewed or discrete differences, for which value ± 1.96 · stderr is too narrow. For rows with
    several seeds, the seed variance is added with Student's t (`cme.stats.variance.combined_quantile`). It is moderated by the
    other rows, and trained rows with one seed borrow the mean (`cme.stats.variance.seed_variances`). What a seed adds to all
    rows cancels if the trained rows have the same seeds (`cme.stats.variance.paired_by_seed`).

    Args:
        panel: The scores.
        weights: Weight of each dataset (`average_weights`).
        alpha: Family-wise error rate. The intervals have the level 1 − alpha.
        resamples: Number of resamples of the bootstrap, at least 1 / alpha.
        seed: Seed of the random numbers. Equal input gives equal numbers.

    Returns:
        The differences of all pairs.

    Raises:
        UsageError: The weights do not fit the panel, a dataset has a single cluster, or there are too few resamples.
    """
    return comparisons(panel, weights, [alpha], resamples=resamples, seed=seed)[0]


def comparisons(
    panel: Panel, weights: Mapping[str, float], alphas: Sequence[float], *, resamples: int = 10_000, seed: int = 0
) -> list[Comparison]:
    """Return the comparison that `compare` makes at each of several levels. All levels share the resamples.

    Args:
        panel: The scores.
        weights: Weight of each dataset (`average_weights`).
        alphas: The levels.
        resamples: Number of resamples of the bootstrap, at least 1 / alpha for every level.
        seed: Seed of the random numbers.

    Raises:
        UsageError: As `compare`.
    """
    vector, pairs = weight_vector(panel, weights), Pairs.of(len(panel.rows))
    for alpha in alphas:
        _check(panel, vector, alpha, resamples)
    with bar("resampling", resamples) as progress:
        drawn = studentised(panel, vector, pairs, resamples=resamples, seed=seed, bar=progress)
    tests = critical_values(panel, vector, pairs, drawn)
    p_values = tests.p_value(pairs.minus(panel.over_seeds(vector @ panel.means)))
    return [_comparison(panel, vector, pairs, tests, p_values, alpha, resamples) for alpha in alphas]


def by_student(panel: Panel, weights: Mapping[str, float], *, alpha: float = 0.05) -> Comparison:
    """Compare every pair of rows as `compare` does, with Student's t in place of the bootstrap.

    It takes no time and suits side tables of many means, such as one per family. It is less exact with few, skewed or discrete
    differences.

    Args:
        panel: The scores.
        weights: Weight of each dataset.
        alpha: Family-wise error rate. The intervals have the level 1 − alpha.

    Raises:
        UsageError: The weights do not fit the panel, or a dataset has a single cluster.
    """
    from scipy.special import stdtrit

    vector, pairs = weight_vector(panel, weights), Pairs.of(len(panel.rows))
    _check(panel, vector, alpha, _QUANTILES)
    used = np.flatnonzero(vector)
    freedom = satterthwaite(
        pair_variances(panel, vector, pairs), np.array([cluster_freedom(panel.sizes[k]) for k in used])
    )
    levels = np.arange(1, _QUANTILES + 1) / (_QUANTILES + 1)
    tests = critical_values(panel, vector, pairs, stdtrit(freedom[:, None], (1 + levels) / 2).astype(np.float32))
    p_values = tests.p_value(pairs.minus(panel.over_seeds(vector @ panel.means)))
    return _comparison(panel, vector, pairs, tests, p_values, alpha, _QUANTILES)


def _comparison(
    panel: Panel, vector: Array, pairs: Pairs, tests: Critical, p_values: Array, alpha: float, resamples: int
) -> Comparison:
    values, stderr = pairs.minus(panel.over_seeds(vector @ panel.means)), tests.stderr
    names = [(panel.rows[first], panel.rows[second]) for first, second in zip(pairs.first, pairs.second, strict=True)]
    limit, clusters = float(vector.sum()), sum(len(panel.sizes[k]) for k in np.flatnonzero(vector))
    level = np.full_like(values, alpha)
    halves = np.minimum(tests.quantile(level) * stderr, 2 * limit)
    of_samples = np.minimum(tests.sample_quantile(level) * np.sqrt(tests.sample), 2 * limit)
    # Only rows that hardly ever differ have so wide a distribution of the resamples.
    for k in np.flatnonzero(of_samples > _WIDE * np.sqrt(tests.sample)):
        bound = half_width_bound(panel, vector, (int(pairs.first[k]), int(pairs.second[k])), float(values[k]), alpha)
        of_samples[k] = min(of_samples[k], bound)
        if not tests.share[k]:
            halves[k] = min(halves[k], bound)
    # If all clusters have the same difference, p is that of a sign test over the clusters.
    same = stderr <= _NOTHING * limit
    by_signs = max(1 / (resamples + 1), 2.0 ** (1 - clusters))
    halves[same] = of_samples[same] = 0.0
    p_values[same] = np.where(np.abs(values[same]) <= _NOTHING * limit, 1.0, by_signs)
    adjusted = holm(p_values)
    single = {
        row
        for row, seeds, trained in zip(panel.rows, panel.seeds, panel.trained, strict=True)
        if trained and seeds == 1
    }
    differences = tuple(
        Difference(
            first=pair[0],
            second=pair[1],
            value=float(values[k]),
            stderr=float(stderr[k]),
            low=float(max(values[k] - halves[k], -limit)),
            high=float(min(values[k] + halves[k], limit)),
            p=float(p_values[k]),
            p_adjusted=float(adjusted[k]),
            significant=bool(adjusted[k] <= alpha),
            one_seed=tuple(row for row in pair if row in single),
            sample_stderr=float(np.sqrt(tests.sample[k])),
            sample_half_width=float(of_samples[k]),
        )
        for k, pair in enumerate(names)
    )
    return Comparison(panel.rows, differences, alpha, resamples)


def holm(p_values: Array) -> Array:
    """Correct p-values for their number, so that rejecting those up to alpha controls the family-wise error rate at alpha.

    Args:
        p_values: One per test, [P]. The tests may depend on each other in any way.

    Returns:
        The corrected p-values, [P]: in ascending order, the running maximum of p · (number of remaining tests), at most 1.

    Source: Holm, A Simple Sequentially Rejective Multiple Test Procedure, Scandinavian Journal of Statistics 6 (1979).
    """
    order = np.argsort(p_values, kind="stable")
    stepped = np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1))
    adjusted = np.empty_like(stepped)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def critical_values(panel: Panel, weights: Array, pairs: Pairs, drawn: NDArray[np.float32]) -> Critical:
    """Return the distributions from which quantiles and p-values of the differences are computed.

    Args:
        panel: the scores.
        weights: weights of the datasets, [D].
        pairs: pairs of the rows.
        drawn: the distribution of the differences over samples, from `cme.stats.bootstrap.studentised`, [P, B].
    """
    parts = pair_variances(panel, weights, pairs)
    freedom = satterthwaite(parts, np.array([cluster_freedom(panel.sizes[k]) for k in np.flatnonzero(weights)]))
    sample, paired = parts.sum(axis=-1), paired_by_seed(panel)
    variance, observed, seed_freedom = _of_pairs(seed_variances(panel, weights), pairs)
    if paired is not None:
        # What a seed adds to all trained rows does not cancel in a difference from a row without training.
        trained = np.asarray(panel.trained)
        both = trained[pairs.first] & trained[pairs.second]
        within = _of_pairs(seed_variances(panel, weights, paired), pairs)
        variance, observed, seed_freedom = (
            np.where(both, *values) for values in zip(within, (variance, observed, seed_freedom), strict=True)
        )
    return Critical(drawn, sample, freedom, variance, seed_share(observed, sample + variance), seed_freedom)


def _of_pairs(seeds: Seeds, pairs: Pairs) -> tuple[Array, Array, Array]:
    """Return the variance that is due to the seeds, the same with sampling noise, and its freedom, [P] each."""

    def of_both(values: Array) -> Array:
        return np.stack([values[pairs.first], values[pairs.second]], axis=-1)

    observed = of_both(seeds.observed)
    freedom = np.minimum(satterthwaite(observed, of_both(seeds.freedom)), seeds.pooled)
    return of_both(seeds.variance).sum(axis=-1), observed.sum(axis=-1), freedom


def _check(panel: Panel, weights: Array, alpha: float, resamples: int) -> None:
    if not 0 < alpha < 1:
        raise UsageError(f"alpha={alpha} is not a valid level. Give a number between 0 and 1, such as 0.05.")
    if resamples * alpha < 1:
        raise UsageError(f"{resamples} resamples are too few for alpha={alpha}. Use at least {math.ceil(1 / alpha)}.")
    if single := [panel.datasets[k] for k in np.flatnonzero(weights) if len(panel.sizes[k]) < 2]:
        raise UsageError(
            f"all samples of {', '.join(single)} share one cluster, so their standard error is unknown. Evaluate more samples, "
            "or leave the dataset out."
        )
