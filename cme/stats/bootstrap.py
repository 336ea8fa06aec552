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

_TILE = 256
"""Pairs at a time, or those of one row with the rows after it: what is computed of them stays in the processor's cache."""

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

    def tiles(self) -> list["Tile"]:
        """Runs of consecutive pairs, each with all pairs of its first rows."""
        counts = np.bincount(self.first).tolist()
        found: list[Tile] = []
        start = row = 0
        while row < len(counts):
            first, stop = row, start
            while row < len(counts) and (row == first or stop + counts[row] - start <= _TILE):
                stop += counts[row]
                row += 1
            found.append(Tile(range(first, row), slice(start, stop)))
            start = stop
        return found


@dataclass(frozen=True)
class Tile:
    """Some pairs: all those with these first rows.

    Attributes:
        rows: their first rows.
        place: where they stand among all pairs.
    """

    rows: range
    place: slice

    def minus(self, values: Array) -> Array:
        """First minus second, as `Pairs.minus`, by slices: [n, R] → [n, pairs of the tile]."""
        found = np.empty((len(values), self.place.stop - self.place.start))
        start = 0
        for row in self.rows:
            stop = start + values.shape[1] - 1 - row
            np.subtract(values[:, row : row + 1], values[:, row + 1 :], out=found[:, start:stop])
            start = stop
        return found


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
    rows = {k: panel.over_seeds(panel.deviations[k]) for k in used}
    stacked = np.concatenate([rows[k] for k in used])
    floor = _ROUNDING * pair_variances(panel, weights, pairs).sum(axis=-1)
    found = np.empty((len(pairs.first), resamples), dtype=np.float32)
    tiles = pairs.tiles()
    for start in range(0, resamples, _BLOCK):
        size = min(_BLOCK, resamples - start)
        drawn = [_draw(rows[k], panel.sizes[k], draws[k], size, weights[k]) for k in used]
        change = sum(weights[k] * of.means for k, of in zip(used, drawn, strict=True))
        times = np.concatenate([of.times for of in drawn], axis=1)
        for tile in tiles:
            variance = times @ np.square(tile.minus(stacked))
            for of in drawn:
                of.centre(variance, tile)
            ratio = _ratio(tile.minus(change), variance, floor[tile.place])
            found[tile.place, start : start + size] = ratio.T
        bar.advance(size)
    found.sort(axis=1)
    return found


@dataclass(frozen=True, eq=False)
class _Drawn:
    """One dataset's resamples, b of them; variances are scaled to those of the weighted mean.

    Attributes:
        means: each row's mean deviation, [b, R].
        times: how often each cluster was drawn, times the scale of the variance, [b, C].
        crossed: 2 Σ over the clusters of size · deviation, scaled, [b, R].
        squares: Σ over the clusters of size², scaled, [b, 1].
    """

    means: Array
    times: Array
    crossed: Array
    squares: Array

    def centre(self, variance: Array, tile: Tile) -> None:
        """Turn the pairs' sums of d_c² into sums of (d_c − n_c · change)²: expanded, so one matrix product serves all."""
        change = tile.minus(self.means)
        rest = change * self.squares
        rest -= tile.minus(self.crossed)
        rest *= change
        variance += rest


def _draw(rows: Array, sizes: Array, draws: np.random.Generator, resamples: int, weight: float) -> _Drawn:
    """Draw a dataset's clusters: [C, R] sums of deviations, [C] sizes."""
    count = len(sizes)
    picked = draws.integers(0, count, size=(resamples, count), dtype=np.int64)
    picked += count * np.arange(resamples)[:, None]
    times = np.bincount(picked.ravel(), minlength=resamples * count).reshape(resamples, count).astype(np.float64)
    column = sizes[:, None]
    sums = times @ np.concatenate([column, column**2, rows, 2 * rows * column], axis=1)
    total, (means, crossed) = sums[:, :1], np.split(sums[:, 2:], 2, axis=1)
    scale = weight**2 * count / (count - 1) / total**2
    times *= scale
    return _Drawn(means / total, times, crossed * scale, sums[:, 1:2] * scale)


def _ratio(change: Array, variance: Array, floor: Array) -> Array:
    """|change| / √variance; without variance infinite, or 0 where nothing changed."""
    flat = variance <= floor
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: Array = np.abs(change) / np.sqrt(np.where(flat, 0.0, variance))
    return np.where(flat, np.where(np.square(change) > floor, np.inf, 0.0), ratio)
