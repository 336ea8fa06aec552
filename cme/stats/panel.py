"""Per-sample scores of all rows, reduced to what the statistics need: means, and sums of deviations by cluster."""

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cme.errors import UsageError

__all__ = ["Array", "Panel", "average_weights", "make_panel", "weight_vector"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Panel:
    """Scores of R rows on the same samples of D datasets. Row m has S_m seeds, and there are T = Σ S_m runs in total.

    Attributes:
        rows: Names of the rows, [R].
        seeds: Number of runs of each row, [R]. The runs of a row are adjacent.
        datasets: Names of the datasets, [D].
        means: Mean score of each run, [D, T].
        sizes: Samples in each cluster, per dataset [C_d].
        deviations: Sum over each cluster's samples of (score − the run's mean), per dataset [C_d, T].
        trained: Whether each row was trained, [R]. The base and a baseline were not, so no seed affects them.
        labels: Seed of each run, [T], or () if the seeds are unknown.
    """

    rows: tuple[str, ...]
    seeds: tuple[int, ...]
    datasets: tuple[str, ...]
    means: Array
    sizes: tuple[Array, ...]
    deviations: tuple[Array, ...]
    trained: tuple[bool, ...]
    labels: tuple[int | None, ...] = ()

    def paired_runs(self) -> NDArray[np.intp] | None:
        """Return the runs of the trained rows, with the runs of one seed in one column, [rows, S].

        None if the trained rows do not all have the same seeds.
        """
        if not self.labels:
            return None
        starts = np.concatenate([[0], np.cumsum(self.seeds)])
        found = []
        for row, trained in enumerate(self.trained):
            if trained:
                runs = range(starts[row], starts[row + 1])
                by_seed = {self.labels[run]: run for run in runs}
                if len(by_seed) < len(runs) or None in by_seed:
                    return None
                found.append(by_seed)
        if not found or any(by_seed.keys() != found[0].keys() for by_seed in found):
            return None
        return np.array([[by_seed[seed] for seed in found[0]] for by_seed in found], dtype=np.intp)

    def over_seeds(self, runs: Array) -> Array:
        """Average over the runs of each row: [..., T] → [..., R]."""
        starts = np.concatenate([[0], np.cumsum(self.seeds)[:-1]])
        means: Array = np.add.reduceat(runs, starts, axis=-1) / np.asarray(self.seeds)
        return means

    def over_runs(self, rows: Array) -> Array:
        """Repeat each row's value for each of its runs: [..., R] → [..., T]."""
        repeated: Array = np.repeat(rows, self.seeds, axis=-1)
        return repeated


def make_panel(
    scores: Mapping[str, Mapping[str, ArrayLike]],
    clusters: Mapping[str, Sequence[str]],
    *,
    untrained: Collection[str] = (),
    seeds: Mapping[str, Sequence[int | None]] | None = None,
) -> Panel:
    """Check that the rows of a table were scored on the same samples, and reduce their scores.

    Args:
        scores: Per-sample primary scores by row and dataset, [n] for one seed or [seeds, n]. All rows have the same order of
            samples.
        clusters: Cluster of each sample by dataset, [n].
        untrained: Rows without training, such as a base or a baseline.
        seeds: Seed of each run by row, in the order of the runs. Runs of one seed must have seen the same examples in the same
            order (`cme.leaderboard.ranking.example_order`). None if they did not, or the seeds are unknown.

    Returns:
        The panel.

    Raises:
        UsageError: There are no rows or datasets, the rows do not have the same datasets, the numbers of samples or seeds do not
            match, or a score is not finite.
    """
    if not scores or not clusters:
        raise UsageError("there are no scores to compare. Give at least one row with at least one dataset.")
    tables = {row: _tables(row, of_row, clusters) for row, of_row in scores.items()}
    means, sizes, deviations = [], [], []
    for dataset, labels in clusters.items():
        runs = np.concatenate([table[dataset] for table in tables.values()])
        _, index = np.unique(np.asarray(labels, dtype=object).astype(str), return_inverse=True)
        count = int(index.max()) + 1
        mean = runs.mean(axis=1)
        means.append(mean)
        sizes.append(np.bincount(index, minlength=count).astype(np.float64))
        sums = [np.bincount(index, weights=run, minlength=count) for run in runs - mean[:, None]]
        deviations.append(np.stack(sums, axis=1).astype(np.float64))
    return Panel(
        rows=tuple(tables),
        seeds=tuple(len(next(iter(table.values()))) for table in tables.values()),
        datasets=tuple(clusters),
        means=np.stack(means),
        sizes=tuple(sizes),
        deviations=tuple(deviations),
        trained=tuple(row not in untrained for row in tables),
        labels=() if seeds is None else tuple(seed for row in tables for seed in seeds[row]),
    )


def average_weights(families: Mapping[str, str]) -> dict[str, float]:
    """Return the weight of each dataset in the unweighted mean of family scores, in points.

    Args:
        families: Family of each dataset that counts in the average.

    Returns:
        100 / (number of families · number of datasets in the family) for each dataset. The weighted sum of the datasets' means
        is the average.
    """
    members = Counter(families.values())
    return {dataset: 100 / (len(members) * members[family]) for dataset, family in families.items()}


def weight_vector(panel: Panel, weights: Mapping[str, float]) -> Array:
    """Return the weights in the panel's order of datasets, [D]. Datasets without a weight get 0.

    Raises:
        UsageError: There are no weights, a weight names an unknown dataset, or a weight is not a positive number.
    """
    if strange := [name for name in weights if name not in panel.datasets]:
        raise UsageError(
            f"there are no scores of {', '.join(map(repr, strange))}. Evaluate every row on it, or leave its weight out."
        )
    for name, weight in weights.items():
        if not (math.isfinite(weight) and weight > 0):
            raise UsageError(f"the weight of {name!r} is {weight}. Give a number above 0, or leave the dataset out.")
    if not weights:
        raise UsageError("no dataset has a weight. Give the weight of at least one dataset.")
    return np.array([weights.get(name, 0.0) for name in panel.datasets])


def _tables(row: str, scores: Mapping[str, ArrayLike], clusters: Mapping[str, Sequence[str]]) -> dict[str, Array]:
    """Return a row's scores as [seeds, n] per dataset, in the order of ``clusters``."""
    if missing := [name for name in clusters if name not in scores]:
        raise UsageError(
            f"row {row!r} has no scores of {', '.join(missing)}. Evaluate the row on them, or leave it out."
        )
    if strange := [name for name in scores if name not in clusters]:
        raise UsageError(f"row {row!r} has scores of {', '.join(strange)}, which other rows lack. Leave them out.")
    tables = {name: np.atleast_2d(np.asarray(scores[name], dtype=np.float64)) for name in clusters}
    seeds = len(next(iter(tables.values())))
    for name, table in tables.items():
        samples = len(clusters[name])
        if table.ndim != 2 or not table.size or table.shape[1] != samples:
            shape = " × ".join(map(str, table.shape))
            raise UsageError(
                f"row {row!r} has {shape} scores of {name}, but the shape must be seeds × {samples} samples. Evaluate all rows "
                "on the same samples."
            )
        if len(table) != seeds:
            raise UsageError(
                f"row {row!r} has {len(table)} seeds on {name} and {seeds} on other datasets. "
                "Evaluate all seeds on all datasets."
            )
        if not np.isfinite(table).all():
            raise UsageError(f"row {row!r} has a score of {name} that is not a finite number. Evaluate it again.")
    return tables
