"""Scores of other evaluations of an entry's run, beside its samples.

``samples/<entry>.experts-<k>.parquet`` has those with masked experts, and ``samples/<entry>.router-<k>.parquet`` those of plain
LoRA exports.

A row belongs to the row of ``samples/<entry>.<k>.parquet`` at the same place, so ids are not repeated.

| column | type | meaning |
| --- | --- | --- |
| ``score.EVALUATION`` | float64 | primary score in [0, 1] |
| ``probability.EVALUATION`` | float32 | probability of the right option; null for free-text answers |

Masked evaluations have the names of ``coalitions.parquet``, such as ``all``, ``base``, ``keep-0-2`` and ``top1``. Exports have
the names ``mean``, ``fit`` and ``distil``.
Probabilities are rounded to float32. The numbers of the entry follow from the rounded ones.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cme.errors import CMEError
from cme.leaderboard.entries.board import samples_path
from cme.leaderboard.entries.files import check_file
from cme.readers.limits import EXPERT_FILES
from cme.readers.parquet_file import open_parquet
from cme.suite.experts.scores import ScoreTable
from cme.suite.score import Sample

__all__ = ["as_stored", "expert_scores", "experts_path", "read_expert_scores", "router_path"]

_ADVICE = "Put the file back, or submit the entry's results again."
_ROUNDING = 1e-6
"""Allowance for probabilities in float32."""

Array = NDArray[np.float64]


def experts_path(entries_dir: Path, name: str, run: int) -> Path:
    """Return the path of the scores with masked experts of an entry's run."""
    path = samples_path(entries_dir, name)
    return path.with_name(f"{name}.experts-{run}.parquet")


def router_path(entries_dir: Path, name: str, run: int) -> Path:
    """Return the path of the scores of plain LoRA exports of an entry's run."""
    path = samples_path(entries_dir, name)
    return path.with_name(f"{name}.router-{run}.parquet")


def expert_scores(table: ScoreTable, samples: Sequence[Sample]) -> bytes:
    """Make the contents of the file.

    Args:
        table: scores of all evaluations of the samples, in any order of the samples within a dataset.
        samples: the samples of the run.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    places = _places(samples)
    without = np.array([not sample["options"] for sample in samples])
    columns: dict[str, Any] = {}
    for number, evaluation in enumerate(table.evaluations):
        score, soft = np.empty(len(samples)), np.empty(len(samples), dtype=np.float32)
        for dataset, rows in places.items():
            order = {key: place for place, key in enumerate(table.ids[dataset])}
            own = [order[samples[row]["id"]] for row in rows]
            score[rows], soft[rows] = table.scores[dataset][number, own], table.soft[dataset][number, own]
        columns[f"score.{evaluation}"] = pa.array(score)
        columns[f"probability.{evaluation}"] = pa.array(soft, mask=without)
    buffer = io.BytesIO()
    pq.write_table(
        pa.table(columns),
        buffer,
        compression="zstd",
        use_dictionary=[name for name in columns if name.startswith("score.")],
        use_byte_stream_split=[name for name in columns if name.startswith("probability.")],
    )
    return buffer.getvalue()


def as_stored(table: ScoreTable) -> ScoreTable:
    """Return a table with the probabilities that the file holds."""
    soft = {
        name: np.where(table.options[name] > 0, values.astype(np.float32).astype(np.float64), values)
        for name, values in table.soft.items()
    }
    return replace(table, soft=soft)


def read_expert_scores(path: Path, samples: Sequence[Sample], evaluations: Sequence[str], where: str) -> ScoreTable:
    """Read and check the file.

    Args:
        path: the file.
        samples: the samples of the run.
        evaluations: names of the evaluations that it must have.
        where: what the file belongs to, for the message.

    Raises:
        CMEError: the file is missing or damaged, has other columns or rows, or a value that no evaluation can give.
    """
    check_file(path, EXPERT_FILES.size or 0)
    names = [f"{kind}.{evaluation}" for evaluation in evaluations for kind in ("score", "probability")]
    with open_parquet(path, EXPERT_FILES, error=CMEError, advice=_ADVICE) as file:
        kinds = {field.name: str(field.type) for field in file.schema}
        expected = {name: "double" if name.startswith("score.") else "float" for name in names}
        if kinds != expected:
            wrong = sorted(name for name in {*kinds, *expected} if kinds.get(name) != expected.get(name))
            raise ValueError(f"its columns do not fit the experts of the row; the first is {wrong[0][:100]!a}")
        rows = file.table(names)
    if len(rows) != len(samples):
        raise CMEError(f"{where}: {path} has {len(rows):,} rows, but the run has {len(samples):,} samples. {_ADVICE}")
    options = np.array([sample["options"] for sample in samples], dtype=np.int64)
    scores, soft = [], []
    for evaluation in evaluations:
        # A null becomes NaN, which fails every comparison.
        score, probability = (
            rows[f"{kind}.{evaluation}"].to_numpy().astype(np.float64) for kind in ("score", "probability")
        )
        if (wrong_rows := np.flatnonzero(~_possible(score, probability, options))).size:
            sample = samples[wrong_rows[0]]
            raise CMEError(
                f"{where}: {path} has for sample {sample['id']!a} of {sample['dataset']} with {evaluation} the score "
                f"{score[wrong_rows[0]]:g} and the probability {probability[wrong_rows[0]]:g}, which no evaluation gives. "
                f"{_ADVICE}"
            )
        scores.append(score)
        soft.append(np.where(options > 0, probability, score))
    return _table(evaluations, samples, np.stack(scores), np.stack(soft))


def _possible(score: Array, probability: Array, options: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which rows an evaluation can give, [n]."""
    text, choice = options == 0, options > 0
    right = (score == 1) & (probability * np.maximum(options, 1) >= 1 - _ROUNDING) & (probability <= 1)
    wrong = (score == 0) & (probability >= 0) & (probability <= 0.5 + _ROUNDING)
    possible: NDArray[np.bool_] = (text & np.isnan(probability) & (score >= 0) & (score <= 1)) | (
        choice & (right | wrong)
    )
    return possible


def _table(evaluations: Sequence[str], samples: Sequence[Sample], scores: Array, soft: Array) -> ScoreTable:
    places = _places(samples)

    def of(key: str) -> dict[str, tuple[Any, ...]]:
        return {dataset: tuple(samples[row][key] for row in rows) for dataset, rows in places.items()}

    return ScoreTable(
        evaluations=tuple(evaluations),
        families={dataset: str(samples[rows[0]]["family"]) for dataset, rows in places.items()},
        ids=of("id"),
        clusters=of("cluster"),
        options={dataset: np.array(values, dtype=np.int64) for dataset, values in of("options").items()},
        scores={dataset: scores[:, rows] for dataset, rows in places.items()},
        soft={dataset: soft[:, rows] for dataset, rows in places.items()},
    )


def _places(samples: Sequence[Sample]) -> Mapping[str, list[int]]:
    """Return the places of the samples of each dataset, in the order of the file."""
    places: dict[str, list[int]] = {}
    for row, sample in enumerate(samples):
        places.setdefault(sample["dataset"], []).append(row)
    return places
