"""Alignment of the per-sample scores of several runs and rows into one panel, in one order of samples."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cme.errors import CMEError
from cme.readers.limits import SAMPLE_FILES
from cme.readers.parquet_file import open_parquet
from cme.stats import Panel, make_panel
from cme.suite.score import Sample, soft_score
from cme.suite.tiers import is_tier_order, tier_order

__all__ = ["Columns", "aligned", "columns_of", "in_tier_order", "panel_of", "read_columns"]

Columns = dict[str, tuple[list[str], list[str], Any]]
"""For each dataset, the ids, clusters and primary (or soft) scores of its samples in the order of the file, [n] each."""


def columns_of(samples: Sequence[Sample], *, soft: bool = False) -> Columns:
    """Return the columns that the statistics need from complete samples.

    Args:
        samples: the samples of one run.
        soft: take the soft scores in place of the primary ones.
    """
    groups: dict[str, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(sample["dataset"], []).append(sample)
    return {
        name: (
            [sample["id"] for sample in group],
            [sample["cluster"] for sample in group],
            np.array([soft_score(sample) if soft else sample["score"] for sample in group], dtype=np.float64),
        )
        for name, group in groups.items()
    }


def read_columns(path: Path, *, soft: bool = False) -> Columns:
    """Read the columns that the statistics need from a samples file.

    Only these columns are read and checked against the limits. `cme.leaderboard.entries.files.check_samples` checks a whole file.

    Args:
        path: the samples file.
        soft: read the soft scores in place of the primary ones.

    Raises:
        CMEError: the file cannot be read.
    """
    advice = "Put the file back, or submit the entry's results again."
    with open_parquet(path, SAMPLE_FILES, error=CMEError, advice=advice) as file:
        table = file.table(["id", "dataset", "cluster", "score", *["gold_probability"] * soft])
    ids, labels = table["id"].to_pylist(), table["cluster"].to_pylist()
    names = np.asarray(table["dataset"].to_pylist(), dtype=object)
    values = table["score"].to_numpy()
    if soft:
        # Only samples with options have a probability of the right one.
        probability = table["gold_probability"].to_numpy().astype(np.float64)
        values = np.where(np.isnan(probability), values, probability)
    columns: Columns = {}
    for name in dict.fromkeys(names):
        places = np.flatnonzero(names == name)
        columns[str(name)] = ([ids[k] for k in places], [labels[k] for k in places], values[places])
    return columns


def in_tier_order(columns: Columns, path: Path) -> Columns:
    """Return the columns in tier order, so that the first n samples represent a dataset.

    CME writes samples in this order. A file in another order is sorted again.

    Args:
        columns: the columns of the file (`read_columns`).
        path: the samples file.
    """
    with open_parquet(path, SAMPLE_FILES, error=CMEError, advice="Put the file back, or evaluate again.") as file:
        table = file.table(["id", "dataset", "part"])
    rows: dict[str, list[_Place]] = {name: [] for name in columns}
    for key, dataset, subset in zip(*(table[name].to_pylist() for name in ("id", "dataset", "part")), strict=True):
        rows[dataset].append(_Place(key, subset))
    ordered: Columns = {}
    for name, of_dataset in rows.items():
        if is_tier_order(of_dataset):
            ordered[name] = columns[name]
            continue
        place = {row.id: k for k, row in enumerate(of_dataset)}
        order = [place[row.id] for row in tier_order(of_dataset)]
        ids, clusters, values = columns[name]
        ordered[name] = ([ids[k] for k in order], [clusters[k] for k in order], values[order])
    return ordered


class _Place(NamedTuple):
    """What decides where a sample stands in tier order."""

    id: str
    subset: str


def aligned(row: str, run: Columns, first: Columns) -> Columns:
    """Return a run's columns, sorted as in the first run.

    Args:
        row: name of the row, for the message.
        run: the columns of the run.
        first: the columns of the first run.

    Raises:
        CMEError: the samples or clusters differ from those of the first run.
    """
    return {name: (ids, clusters, _values(row, run, name, first)) for name, (ids, clusters, _) in first.items()}


def panel_of(
    rows: Mapping[str, Sequence[Columns]],
    *,
    untrained: Collection[str] = (),
    seeds: Mapping[str, Sequence[int | None]] | None = None,
) -> Panel:
    """Make the panel of the scores of all rows on the samples that they share.

    Args:
        rows: for each row's name, the columns of its runs. The samples may be in any order; they are sorted as in the first
            run.
        untrained: names of the rows without training.
        seeds: seeds of the runs by row, as in `cme.stats.make_panel`. Other rows may be in it.

    Raises:
        CMEError: the samples or clusters of a run differ from those of the first run.
    """
    first = next(iter(rows.values()))[0]
    scores = {
        row: {name: [_values(row, run, name, first) for run in runs] for name in first} for row, runs in rows.items()
    }
    stacked = {row: {name: np.stack(runs) for name, runs in of_row.items()} for row, of_row in scores.items()}
    clusters = {name: of_samples for name, (_, of_samples, _) in first.items()}
    return make_panel(stacked, clusters, untrained=untrained, seeds=seeds)


def _values(row: str, run: Columns, name: str, first: Columns) -> Any:
    """Return a run's scores of one dataset, sorted as in the first run."""
    ids, clusters, _ = first[name]
    own_ids, own_clusters, values = run.get(name, ([], [], np.empty(0)))
    if own_ids != ids:
        place = {key: k for k, key in enumerate(own_ids)}
        if len(own_ids) != len(ids) or set(place) != set(ids):
            raise CMEError(
                f"{row}: its samples of {name} differ from those of the other rows. Submit its results again."
            )
        order = [place[key] for key in ids]
        own_clusters, values = [own_clusters[k] for k in order], values[order]
    if own_clusters != clusters:
        raise CMEError(
            f"{row}: the clusters of its samples of {name} differ from those of the other rows. Submit its results again."
        )
    return values
