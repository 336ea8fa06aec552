"""The per-sample scores of several evaluations of the same samples, and the file ``coalitions.parquet`` that holds them.

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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cme.errors import DataError
from cme.files import atomic_path
from cme.readers.limits import SAMPLE_FILES
from cme.readers.parquet_file import open_parquet, read_rows
from cme.stats import average_weights
from cme.suite import datasets
from cme.suite.score import soft_score

__all__ = ["METRICS", "ScoreTable", "read_scores", "score_table", "write_scores"]

Array = NDArray[np.float64]

METRICS = ("average", "chance_normalised", "soft")
"""What is measured under every mask: the CME average, the chance-normalised average, and the soft average."""

_COLUMNS = ("evaluation", "dataset", "family", "id", "cluster", "options", "score", "soft")


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """Scores of E evaluations on the same n_d samples of each dataset.

    Attributes:
        evaluations: names of the evaluations, [E].
        families: family of each dataset.
        ids: ids of the samples by dataset, [n_d].
        clusters: clusters of the samples by dataset, [n_d].
        options: number of options of each sample by dataset, [n_d]; 0 for free-text answers.
        scores: primary scores by dataset, [E, n_d].
        soft: soft scores by dataset, [E, n_d].
    """

    evaluations: tuple[str, ...]
    families: Mapping[str, str]
    ids: Mapping[str, tuple[str, ...]]
    clusters: Mapping[str, tuple[str, ...]]
    options: Mapping[str, NDArray[np.int64]]
    scores: Mapping[str, Array]
    soft: Mapping[str, Array]

    @property
    def weights(self) -> dict[str, float]:
        """The weight of each dataset in the average, in points. Datasets outside the suite have none."""
        suite = datasets()
        return average_weights({name: family for name, family in self.families.items() if name in suite})

    def values(self, metric: str) -> dict[str, Array]:
        """Return the values of a metric by dataset, [E, n_d]. Their weighted mean with `weights` is the metric.

        Args:
            metric: one of `METRICS`.
        """
        if metric == "soft":
            return dict(self.soft)
        if metric == "average":
            return dict(self.scores)
        chances = {name: float(np.mean([1 / n if n else 0.0 for n in counts])) for name, counts in self.options.items()}
        return {name: (table - chances[name]) / (1 - chances[name]) for name, table in self.scores.items()}

    def rows_of(self, names: Sequence[str]) -> list[int]:
        """Return the places of some evaluations."""
        return [self.evaluations.index(name) for name in names]


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
        soft=_stacked(grouped, lambda row: float(row["soft"]) if "soft" in row else soft_score(row)),
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
        DataError: the file is damaged, or lacks columns.
    """
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    with open_parquet(path, SAMPLE_FILES, advice="It is damaged: run the analysis again.") as file:
        if missing := [name for name in _COLUMNS if name not in file.schema.names]:
            raise ValueError(f"column {missing[0]} is missing")
        for batch in file.batches(list(_COLUMNS)):
            for row in read_rows(batch):
                rows[row["evaluation"]].append(row)
    if not rows:
        raise DataError(f"{path} has no rows. Run the analysis again.")
    return score_table(rows)


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
