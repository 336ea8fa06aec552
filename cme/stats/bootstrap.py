"""Studentised paired cluster bootstrap of the differences between rows, stratified by dataset."""

import math
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from cme.progress import Bar
from cme.stats.panel import Array, Panel
from cme.stats.variance import sample_variances

__all__ = ["Pairs", "pair_variances", "studentised"]

_BLOCK = 250
"""Most resamples per block. Blocks bound memory and do not affect the numbers."""

_CELLS = 2_000_000
"""Most counts of clusters per block, unless one resample has more."""

_MANY = 4096
"""From this number of clusters on, a cluster's count is drawn alone, which is faster. The difference is negligible there."""

_TILE = 256
"""Most pairs per tile, unless one row has more, so that intermediate results stay in the processor's cache."""

_ROUNDING = 1e-12
"""A resampled variance below this share of the observed variance counts as 0."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """All pairs of R rows: row indices of the first and of the second, [P], P = R(R − 1)/2."""

    first: NDArray[np.intp]
    second: NDArray[np.intp]

    @classmethod
    def of(cls, rows: int) -> "Pairs":
        """Return all pairs of a number of rows, in order."""
        return cls(*np.triu_indices(rows, 1))

    def minus(self, values: Array) -> Array:
        """Return first minus second: [..., R] → [..., P]."""
        difference: Array = values[..., self.first] - values[..., self.second]
        return difference

    def tiles(self) -> list["Tile"]:
        """Split the pairs into tiles of consecutive pairs. All pairs of one first row are in the same tile."""
        counts = np.bincount(self.first).tolist()
        tiles: list[Tile] = []
        start = row = 0
        while row < len(counts):
            first, stop = row, start
            while row < len(counts) and (row == first or stop + counts[row] - start <= _TILE):
                stop += counts[row]
                row += 1
            tiles.append(Tile(range(first, row), slice(start, stop)))
            start = stop
        return tiles


@dataclass(frozen=True)
class Tile:
    """All pairs with certain first rows.

    Attributes:
        rows: The first rows.
        place: Slice of these pairs among all pairs.
    """

    rows: range
    place: slice

    def minus(self, values: Array) -> Array:
        """Return first minus second as `Pairs.minus` does, computed by slices: [n, R] → [n, pairs of the tile]."""
        differences = np.empty((len(values), self.place.stop - self.place.start))
        start = 0
        for row in self.rows:
            stop = start + values.shape[1] - 1 - row
            np.subtract(values[:, row : row + 1], values[:, row + 1 :], out=differences[:, start:stop])
            start = stop
        return differences


def pair_variances(panel: Panel, weights: Array, pairs: Pairs) -> Array:
    """Return the variance of each paired difference on each dataset with a weight, [P, D']. It is NaN for one cluster."""
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
    """Compute |difference in the resample − difference| / the resample's standard error for every pair.

    Whole clusters are drawn with replacement within each dataset. The comparison is paired, because all rows share the draws.
    With `_MANY` clusters or more, each cluster's count has a Poisson distribution, which is the limit of the draws with
    replacement (Hanley and MacGibbon, Creating Non-Parametric Bootstrap Samples Using Poisson Frequencies, Computer Methods and
    Programs in Biomedicine 83, 2006).

    Args:
        panel: The scores.
        weights: Weights of the datasets, [D].
        pairs: Pairs of the rows.
        resamples: Number of resamples, B.
        seed: Seed of the random numbers. The draws of a dataset depend only on this seed, the name of the dataset and its number
            of clusters, so further rows in the table do not change a pair's numbers.
        bar: Progress bar, which advances by the number of finished resamples.

    Returns:
        The statistics, [P, B], sorted for each pair. They are infinite for resamples without variance.

    Source: Hall, On the Bootstrap and Confidence Intervals, Annals of Statistics 14 (1986): studentised; Cameron, Gelbach
    and Miller, Bootstrap-Based Improvements for Inference with Clustered Errors, REStat 90 (2008): clusters.
    """
    used = [int(k) for k in np.flatnonzero(weights)]
    draws = {k: np.random.default_rng([seed, crc32(panel.datasets[k].encode())]) for k in used}
    rows = {k: panel.over_seeds(panel.deviations[k]) for k in used}
    stacked = np.concatenate([rows[k] for k in used])
    columns = {k: _columns(rows[k], panel.sizes[k]) for k in used}
    floor = _ROUNDING * pair_variances(panel, weights, pairs).sum(axis=-1)
    statistics = np.empty((len(pairs.first), resamples), dtype=np.float32)
    tiles = pairs.tiles()
    block = max(min(_BLOCK, _CELLS // len(stacked)), 1)
    for start in range(0, resamples, block):
        size = min(block, resamples - start)
        drawn = [_draw(columns[k], draws[k], size, weights[k]) for k in used]
        change = sum(weights[k] * of.means for k, of in zip(used, drawn, strict=True))
        times = np.concatenate([of.times for of in drawn], axis=1)
        for tile in tiles:
            variance = times @ np.square(tile.minus(stacked))
            for of in drawn:
                of.centre(variance, tile)
            ratio = _ratio(tile.minus(change), variance, floor[tile.place])
            statistics[tile.place, start : start + size] = ratio.T
        bar.advance(size)
    statistics.sort(axis=1)
    return statistics


@dataclass(frozen=True, eq=False)
class _Drawn:
    """The resamples of one dataset, b of them. Variances are scaled to those of the weighted mean.

    Attributes:
        means: Each row's mean deviation, [b, R].
        times: Number of draws of each cluster, multiplied by the scale of the variance, [b, C].
        crossed: 2 Σ over the clusters of size · deviation, scaled, [b, R].
        squares: Σ over the clusters of size², scaled, [b, 1].
    """

    means: Array
    times: Array
    crossed: Array
    squares: Array

    def centre(self, variance: Array, tile: Tile) -> None:
        """Turn the pairs' sums of d_c² into sums of (d_c − n_c · change)², expanded so that one matrix product suffices."""
        change = tile.minus(self.means)
        rest = change * self.squares
        rest -= tile.minus(self.crossed)
        rest *= change
        variance += rest


def _columns(rows: Array, sizes: Array) -> Array:
    """Return what is summed over the drawn clusters, given sums of deviations [C, R] and sizes [C]: [C, 2 + 2R]."""
    column = sizes[:, None]
    return np.concatenate([column, column**2, rows, 2 * rows * column], axis=1)


def _draw(columns: Array, draws: np.random.Generator, resamples: int, weight: float) -> _Drawn:
    """Draw the clusters of a dataset, given `_columns`."""
    count = len(columns)
    times = (_poisson_counts if count >= _MANY else _counts)(draws, resamples, count)
    sums = times @ columns
    total, (means, crossed) = sums[:, :1], np.split(sums[:, 2:], 2, axis=1)
    scale = weight**2 * count / (count - 1) / total**2
    times *= scale
    return _Drawn(means / total, times, crossed * scale, sums[:, 1:2] * scale)


def _counts(draws: np.random.Generator, resamples: int, clusters: int) -> Array:
    """Draw clusters with replacement, and return how often each was drawn, [b, C]."""
    picked = draws.integers(0, clusters, size=(resamples, clusters), dtype=np.int64)
    picked += clusters * np.arange(resamples)[:, None]
    counts = np.bincount(picked.ravel(), minlength=resamples * clusters)
    return counts.reshape(resamples, clusters).astype(np.float64)


def _poisson_counts(draws: np.random.Generator, resamples: int, clusters: int) -> Array:
    """Draw a count with a Poisson distribution of mean 1 for each cluster, [b, C]."""
    # Sixteen random bits for a count. Whole words of 64 bits keep the draws independent of the size of the block.
    words = draws.integers(0, 2**64, size=(resamples, -(-clusters // 4)), dtype=np.uint64)
    bits = words.view(np.uint16)[:, :clusters]
    counts = np.zeros(bits.shape, dtype=np.uint8)
    chance = below = math.exp(-1)
    for value in range(1, 9):
        counts += bits >= round(2**16 * below)
        chance /= value
        below += chance
    return counts.astype(np.float64)


def _ratio(change: Array, variance: Array, floor: Array) -> Array:
    """Return |change| / √variance. Without variance it is 0 if nothing changed, and infinite otherwise."""
    flat = variance <= floor
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: Array = np.abs(change) / np.sqrt(np.where(flat, 0.0, variance))
    return np.where(flat, np.where(np.square(change) > floor, np.inf, 0.0), ratio)
