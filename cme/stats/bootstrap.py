"""Studentised paired cluster bootstrap of the differences between rows, stratified by dataset."""

from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from cme.progress import Bar
from cme.stats.panel import Array, Panel
from cme.stats.variance import sample_variances

__all__ = ["Pairs", "pair_variances", "studentised"]

_BLOCK = 250
"""Resamples at a time: bounds memory; the numbers do not depend on it."""

_ROUNDING = 1e-12
"""A resampled variance below this share of the observed one is 0."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """All pairs of R rows: row indices of the first and of the second, [P], P = R(R − 1)/2."""

    first: NDArray[np.intp]
    second: NDArray[np.intp]

    @classmethod
    def of(cls, rows: int) -> "Pairs":
        """All pairs of so many rows, in order."""
        return cls(*np.triu_indices(rows, 1))

    def minus(self, values: Array) -> Array:
        """First minus second: [..., R] → [..., P]."""
        difference: Array = values[..., self.first] - values[..., self.second]
        return difference

    def plus(self, values: Array) -> Array:
        """First plus second: [..., R] → [..., P]."""
        total: Array = values[..., self.first] + values[..., self.second]
        return total


def pair_variances(panel: Panel, weights: Array, pairs: Pairs) -> Array:
    """Variance of each pair's paired difference on each dataset that counts, [P, D']; NaN with one cluster."""
    return np.stack(
        [
            weights[k] ** 2 * sample_variances(pairs.minus(panel.over_seeds(panel.deviations[k])), panel.sizes[k])
            for k in np.flatnonzero(weights)
        ],
        axis=-1,
    )


def studentised(
    panel: Panel, weights: Array, pairs: Pairs, *, resamples: int, seed: int, bar: Bar
) -> NDArray[np.float32]:
    """|difference in the resample − difference| / the resample's standard error, for every pair.

    Whole clusters are drawn with replacement within each dataset; all rows see the same draw, so the comparison is paired.

    Args:
        panel: the scores.
        weights: of the datasets, [D].
        pairs: of the rows.
        resamples: how many, B.
        seed: of the random numbers. A dataset's draws depend on nothing but this, its name and its number of clusters:
            other rows in the table change no pair.
        bar: moved on by the number of resamples done.

    Returns:
        [P, B], each row sorted; infinite where a resample has no variance.

    Source: Hall, On the Bootstrap and Confidence Intervals, Annals of Statistics 14 (1986): studentised; Cameron, Gelbach
    and Miller, Bootstrap-Based Improvements for Inference with Clustered Errors, REStat 90 (2008): clusters.
    """
    used = [int(k) for k in np.flatnonzero(weights)]
    draws = {k: np.random.default_rng([seed, crc32(panel.datasets[k].encode())]) for k in used}
    moments = {k: _moments(panel, k, pairs) for k in used}
    floor = _ROUNDING * pair_variances(panel, weights, pairs).sum(axis=-1)
    found = np.empty((len(pairs.first), resamples), dtype=np.float32)
    for start in range(0, resamples, _BLOCK):
        size = min(_BLOCK, resamples - start)
        change, variance = np.zeros((2, size, len(pairs.first)))
        for k in used:
            moved, squared = _resample(moments[k], panel.sizes[k], draws[k], size, pairs)
            change += weights[k] * moved
            variance += weights[k] ** 2 * squared
        found[:, start : start + size] = _ratio(change, variance, floor).T
        bar.advance(size)
    found.sort(axis=1)
    return found


def _moments(panel: Panel, k: int, pairs: Pairs) -> Array:
    """What is summed over the drawn clusters: sizes, squared sizes, [R] deviations, the same times size, [P] squares."""
    rows, sizes = panel.over_seeds(panel.deviations[k]), panel.sizes[k][:, None]
    return np.concatenate([sizes, sizes**2, rows, rows * sizes, pairs.minus(rows) ** 2], axis=1)


def _resample(
    moments: Array, sizes: Array, draws: np.random.Generator, resamples: int, pairs: Pairs
) -> tuple[Array, Array]:
    """Change of one dataset's paired difference, and its cluster-robust variance, in each resample: [b, P] each."""
    count = len(sizes)
    picked = draws.integers(0, count, size=(resamples, count), dtype=np.int64)
    picked += count * np.arange(resamples)[:, None]
    times = np.bincount(picked.ravel(), minlength=resamples * count).reshape(resamples, count).astype(np.float64)
    sums = times @ moments
    rows = (moments.shape[1] - 2 - len(pairs.first)) // 2
    total, squares = sums[:, :1], sums[:, 1:2]
    change = pairs.minus(sums[:, 2 : 2 + rows]) / total
    # Σ (d_c − n_c · change)², expanded so that one matrix product serves all pairs.
    crossed = pairs.minus(sums[:, 2 + rows : 2 + 2 * rows])
    residual = sums[:, 2 + 2 * rows :] - 2 * change * crossed + change**2 * squares
    return change, residual * count / (count - 1) / total**2


def _ratio(change: Array, variance: Array, floor: Array) -> Array:
    """|change| / √variance; without variance infinite, or 0 where nothing changed."""
    flat = variance <= floor
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: Array = np.abs(change) / np.sqrt(np.where(flat, 0.0, variance))
    return np.where(flat, np.where(np.square(change) > floor, np.inf, 0.0), ratio)
