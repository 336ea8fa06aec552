"""The file ``coalitions.parquet``: the per-sample scores of several evaluations of the same samples.

| column | type | meaning |
| --- | --- | --- |
| ``evaluation`` | string | name of the evaluation: ``all``, ``base``, ``keep-0-2``, ``top1``, ``top1-renormalised`` |
| ``dataset``, ``family`` | string | dataset and family |
| ``id``, ``cluster`` | string | id of the sample, and its cluster |
| ``options`` | int32 | number of options; 0 for free-text answers |
| ``score``, ``soft`` | float64 | primary score and soft score, in [0, 1] |
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cme.errors import DataError
from cme.files import atomic_path
from cme.readers.limits import COALITION_FILES
from cme.readers.parquet_file import open_parquet
from cme.suite.experts.scores import ScoreTable
from cme.suite.score import soft_score

__all__ = ["read_scores", "score_table", "write_scores"]

Array = NDArray[np.float64]

_COLUMNS = ("evaluation", "dataset", "family", "id", "cluster", "options", "score", "soft")


def score_table(samples: Mapping[str, Sequence[Mapping[str, Any]]]) -> ScoreTable:
    """Make the table of several evaluations.

    Args:
        samples: the samples (`cme.records.samples`) of each evaluation by its name.

    Raises:
        DataError: the evaluations do not have the same samples.
    """
    grouped = {name: _by_dataset(rows) for name, rows in samples.items()}
    first = next(iter(grouped.values()))
    for name, tables in grouped.items():
        same = tables.keys() == first.keys() and all(
            [row["id"] for row in rows] == [row["id"] for row in first[dataset]] for dataset, rows in tables.items()
        )
        if not same:
            raise DataError(f"the evaluation {name!r} has other samples than {next(iter(grouped))!r}. Evaluate again.")
    return ScoreTable(
        evaluations=tuple(grouped),
        families={dataset: str(rows[0]["family"]) for dataset, rows in first.items()},
        ids={dataset: tuple(row["id"] for row in rows) for dataset, rows in first.items()},
        clusters={dataset: tuple(row["cluster"] for row in rows) for dataset, rows in first.items()},
        options={dataset: np.array([row["options"] for row in rows]) for dataset, rows in first.items()},
        scores=_stacked(grouped, lambda row: float(row["score"])),
        soft=_stacked(grouped, lambda row: soft_score(row)),
    )


def write_scores(path: Path, table: ScoreTable) -> None:
    """Write ``coalitions.parquet``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
    for place, evaluation in enumerate(table.evaluations):
        for dataset, family in table.families.items():
            count = len(table.ids[dataset])
            columns["evaluation"] += [evaluation] * count
            columns["dataset"] += [dataset] * count
            columns["family"] += [family] * count
            columns["id"] += table.ids[dataset]
            columns["cluster"] += table.clusters[dataset]
            columns["options"] += table.options[dataset].tolist()
            columns["score"] += table.scores[dataset][place].tolist()
            columns["soft"] += table.soft[dataset][place].tolist()
    types = {"options": pa.int32(), "score": pa.float64(), "soft": pa.float64()}
    schema = pa.schema([(name, types.get(name, pa.string())) for name in _COLUMNS])
    with atomic_path(path) as temporary:
        pq.write_table(pa.Table.from_pydict(columns, schema=schema), temporary, compression="zstd")


def read_scores(path: Path) -> ScoreTable:
    """Read ``coalitions.parquet``.

    Raises:
        DataError: the file is damaged, lacks columns or rows, or holds a score outside of [0, 1].
    """
    with open_parquet(path, COALITION_FILES, advice="It is damaged: run the analysis again.") as file:
        if missing := [name for name in _COLUMNS if name not in file.schema.names]:
            raise ValueError(f"column {missing[0]} is missing")
        rows = file.table(list(_COLUMNS))
        columns = {name: np.asarray(rows[name].to_pylist()) for name in _COLUMNS}
    if not len(rows):
        raise DataError(f"{path} has no rows. Run the analysis again.")
    for name in ("score", "soft"):
        if columns[name].dtype != np.float64 or not ((columns[name] >= 0) & (columns[name] <= 1)).all():
            raise DataError(f"{path} has a value of {name!r} that is not a number from 0 to 1. Run the analysis again.")
    return _table(columns, path)


def _table(columns: Mapping[str, Any], path: Path) -> ScoreTable:
    """Group columns of equal length by evaluation and dataset."""
    evaluations, first_rows = np.unique(columns["evaluation"], return_index=True)
    evaluations = evaluations[np.argsort(first_rows)]
    places = [np.flatnonzero(columns["evaluation"] == name) for name in evaluations]
    shared = {name: columns[name][places[0]] for name in ("dataset", "family", "id", "cluster", "options")}
    for name, own in zip(evaluations, places, strict=True):
        if any(not np.array_equal(columns[key][own], shared[key]) for key in ("dataset", "id")):
            raise DataError(
                f"{path}: the evaluation {name!r} has other samples than {evaluations[0]!r}. Evaluate again."
            )
    of = {str(name): np.flatnonzero(shared["dataset"] == name) for name in dict.fromkeys(shared["dataset"])}
    scores, soft = (np.stack([columns[key][own] for own in places]) for key in ("score", "soft"))
    return ScoreTable(
        evaluations=tuple(map(str, evaluations)),
        families={name: str(shared["family"][rows[0]]) for name, rows in of.items()},
        ids={name: tuple(shared["id"][rows].tolist()) for name, rows in of.items()},
        clusters={name: tuple(shared["cluster"][rows].tolist()) for name, rows in of.items()},
        options={name: shared["options"][rows] for name, rows in of.items()},
        scores={name: scores[:, rows] for name, rows in of.items()},
        soft={name: soft[:, rows] for name, rows in of.items()},
    )


def _by_dataset(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    grouped: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        grouped[row["dataset"]].append(row)
    return dict(grouped)


def _stacked(grouped: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]], value: Any) -> dict[str, Array]:
    first = next(iter(grouped.values()))
    return {
        dataset: np.array([[value(row) for row in tables[dataset]] for tables in grouped.values()]) for dataset in first
    }
