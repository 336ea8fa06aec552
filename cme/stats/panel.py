"""Per-sample scores of all rows of a table, reduced to what the statistics need: means and sums of deviations by cluster."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cme.errors import UsageError

__all__ = ["Array", "Panel", "average_weights", "make_panel", "weight_vector"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Panel:
    """Scores of R rows on the same samples of D datasets; row m was trained with S_m seeds, T = Σ S_m runs in all.

    Attributes:
        rows: names, [R].
        seeds: runs of each row, [R]; the runs of a row stand next to each other.
        datasets: names, [D].
        means: mean score of each run, [D, T].
        sizes: samples in each cluster, per dataset [C_d].
        deviations: sum over each cluster's samples of (score − the run's mean), per dataset [C_d, T].
    """

    rows: tuple[str, ...]
    seeds: tuple[int, ...]
    datasets: tuple[str, ...]
    means: Array
    sizes: tuple[Array, ...]
    deviations: tuple[Array, ...]

    def over_seeds(self, runs: Array) -> Array:
        """Mean over the runs of each row: [..., T] → [..., R]."""
        starts = np.concatenate([[0], np.cumsum(self.seeds)[:-1]])
        means: Array = np.add.reduceat(runs, starts, axis=-1) / np.asarray(self.seeds)
        return means

    def over_runs(self, rows: Array) -> Array:
        """Each row's value for each of its runs: [..., R] → [..., T]."""
        repeated: Array = np.repeat(rows, self.seeds, axis=-1)
        return repeated


def make_panel(scores: Mapping[str, Mapping[str, ArrayLike]], clusters: Mapping[str, Sequence[str]]) -> Panel:
    """Check that the rows of a table were scored on the same samples, and reduce their scores.

    Args:
        scores: row → dataset → per-sample primary scores, [n] for one seed or [seeds, n]; for every row in the same
            order of sample ids.
        clusters: dataset → what each sample belongs to, [n].

    Raises:
        UsageError: there are no rows or datasets; a row lacks a dataset, has one too many, another number of samples than
            its clusters or another number of seeds than on its other datasets; a score is not finite.
    """
    if not scores or not clusters:
        raise UsageError("there is nothing to compare: give at least one row with at least one dataset.")
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
    )


def average_weights(families: Mapping[str, str]) -> dict[str, float]:
    """What each dataset counts in the unweighted mean of family scores, in points.

    Args:
        families: dataset → its family; only the datasets that count.

    Returns:
        dataset → 100 / (families · datasets of its family): the weighted sum of the datasets' means is the average.
    """
    members = Counter(families.values())
    return {dataset: 100 / (len(members) * members[family]) for dataset, family in families.items()}


def weight_vector(panel: Panel, weights: Mapping[str, float]) -> Array:
    """Weights in the panel's order of datasets, [D]; 0 for those not named.

    Raises:
        UsageError: a weight names an unknown dataset or is not a positive number, or there are none.
    """
    if strange := [name for name in weights if name not in panel.datasets]:
        raise UsageError(
            f"no scores of {', '.join(map(repr, strange))}, which the mean needs. Evaluate every row on it, or leave it out."
        )
    for name, weight in weights.items():
        if not (math.isfinite(weight) and weight > 0):
            raise UsageError(f"the weight of {name!r} is {weight}; give a number above 0, or leave the dataset out.")
    if not weights:
        raise UsageError("a mean over no datasets: name at least one.")
    return np.array([weights.get(name, 0.0) for name in panel.datasets])


def _tables(row: str, scores: Mapping[str, ArrayLike], clusters: Mapping[str, Sequence[str]]) -> dict[str, Array]:
    """A row's scores as [seeds, n] per dataset, in the order of ``clusters``."""
    if missing := [name for name in clusters if name not in scores]:
        raise UsageError(f"row {row!r} has no scores of {', '.join(missing)}. Evaluate it there, or leave the row out.")
    if strange := [name for name in scores if name not in clusters]:
        raise UsageError(f"row {row!r} has scores of {', '.join(strange)}, which other rows lack. Leave them out.")
    tables = {name: np.atleast_2d(np.asarray(scores[name], dtype=np.float64)) for name in clusters}
    seeds = len(next(iter(tables.values())))
    for name, table in tables.items():
        samples = len(clusters[name])
        if table.ndim != 2 or not table.size or table.shape[1] != samples:
            shape = " × ".join(map(str, table.shape))
            raise UsageError(
                f"row {row!r} has {shape} scores of {name}; expected seeds × {samples} samples, the same for all rows. "
                "Evaluate the rows on the same samples."
            )
        if len(table) != seeds:
            raise UsageError(
                f"row {row!r} has {len(table)} seeds on {name} and {seeds} on others. Evaluate every seed on all datasets."
            )
        if not np.isfinite(table).all():
            raise UsageError(f"row {row!r} has a score of {name} that is not a finite number. Evaluate it again.")
    return tables
