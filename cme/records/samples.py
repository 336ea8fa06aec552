"""The file of per-sample scores, ``samples.parquet``. All numbers of a result follow from it. It contains no dataset text.

| column | type | meaning |
| --- | --- | --- |
| ``id`` | string | id of the example |
| ``dataset``, ``family``, ``part`` | string | dataset, family and subset |
| ``cluster`` | string | cluster of samples that share a passage, article or premise; else the id of the row or its first copy |
| ``score`` | float64 | primary score, in [0, 1] |
| ``scores`` | map string → float64 | all per-sample scores by name, each in [0, 1] |
| ``options`` | int32 | number of options; 0 for free-text answers |
| ``gold``, ``predicted`` | int32 | index of the right and of the chosen option; null for free-text answers |
| ``gold_probability`` | float64 | probability of the right option among the options; null for free-text answers |
| ``empty``, ``truncated``, ``cut`` | bool | text without an answer; text reached the token limit; input was cut to fit |

``cut``, and ``truncated`` for a free-text answer, are null if they are unknown: in results from lm-eval's logs without the
model's tokenizer.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cme.errors import CMEError, DataError
from cme.files import atomic_path
from cme.readers.limits import SAMPLE_FILES
from cme.readers.parquet_file import open_parquet, read_rows

__all__ = ["SAMPLE_COLUMNS", "read_samples", "write_samples"]

SAMPLE_COLUMNS = (
    "id",
    "dataset",
    "family",
    "part",
    "cluster",
    "score",
    "scores",
    "options",
    "gold",
    "predicted",
    "gold_probability",
    "empty",
    "truncated",
    "cut",
)
"""The columns, in the order of the file."""

_CHOICE_ONLY = ("gold", "predicted", "gold_probability")
_ROUNDING = 1e-9


def write_samples(path: Path, samples: Sequence[Mapping[str, Any]]) -> None:
    """Write per-sample scores atomically. Equal samples in equal order give identical bytes.

    Args:
        path: the Parquet file.
        samples: one mapping per sample with exactly the columns in `SAMPLE_COLUMNS`; ``scores`` is a mapping.

    Raises:
        DataError: a column is missing or unknown, or a value is out of range.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    for sample in samples:
        _check_columns(sample, f"sample {sample.get('id')!r}")
    _check_rows(samples, "the samples")
    # Sorted, so that the file does not depend on the order in which scores were computed.
    rows = [{**sample, "scores": sorted(sample["scores"].items())} for sample in samples]
    try:
        table = pa.Table.from_pylist(rows, schema=_schema())
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(f"the samples do not fit {path.name}: {error}.") from error
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_samples(path: Path) -> list[dict[str, Any]]:
    """Read per-sample scores in the order of the file. ``scores`` is a dict.

    Raises:
        CMEError: the file is missing.
        DataError: the file is damaged, a column is missing, unknown or of another type, or a value is out of range.
    """
    if not path.is_file():
        raise CMEError(f"{path} does not exist. Evaluate again; 'cme eval' writes this file beside result.json.")
    rows: list[dict[str, Any]] = []
    with open_parquet(path, SAMPLE_FILES, advice="It is damaged: evaluate again.") as file:
        _check_columns(file.schema.names, str(path))
        for field in _schema():
            kind = file.schema.field(field.name).type
            if kind != field.type:
                raise DataError(
                    f"{path}: column {field.name!r} has type {kind}; expected {field.type}. Evaluate again."
                )
        for batch in file.batches(list(SAMPLE_COLUMNS)):
            rows += read_rows(batch.select(list(SAMPLE_COLUMNS)), len(rows), maps_as_dicts=True)
    _check_rows(rows, str(path))
    return rows


def _schema() -> Any:
    import pyarrow as pa

    types = {
        "score": pa.float64(),
        "scores": pa.map_(pa.string(), pa.float64()),
        "options": pa.int32(),
        "gold": pa.int32(),
        "predicted": pa.int32(),
        "gold_probability": pa.float64(),
        "empty": pa.bool_(),
        "truncated": pa.bool_(),
        "cut": pa.bool_(),
    }
    return pa.schema([(name, types.get(name, pa.string())) for name in SAMPLE_COLUMNS])


def _check_columns(columns: Any, where: str) -> None:
    if missing := [name for name in SAMPLE_COLUMNS if name not in columns]:
        raise DataError(f"{where}: missing column {', '.join(map(repr, missing))}. Evaluate again with this CME.")
    if strange := sorted(set(columns) - set(SAMPLE_COLUMNS)):
        raise DataError(
            f"{where}: unknown column {', '.join(map(repr, strange))}. Sample files contain no dataset text; remove the column."
        )


def _check_rows(rows: Sequence[Mapping[str, Any]], where: str) -> None:
    for row in rows:
        if problem := _problem(row):
            raise DataError(f"{where}: sample {row['id']!r} of {row['dataset']!r}: {problem}.")


def _problem(row: Mapping[str, Any]) -> str | None:
    for name in SAMPLE_COLUMNS:
        # Whether a text was truncated, or its prompt was cut, is unknown without the tokenizer of its model.
        unknown = name == "cut" or (name == "truncated" and not row["options"])
        if row[name] is None and name not in _CHOICE_ONLY and not unknown:
            return f"{name} is empty"
    for name, value in {"score": row["score"], **row["scores"]}.items():
        if not _in_range(value):
            return f"{name} is {value}; expected a number from 0 to 1"
    for name in _CHOICE_ONLY:
        if (row[name] is None) == bool(row["options"]):
            return f"{name} is {row[name]} with {row['options']} options; only samples with options have a value"
    if not row["options"]:
        return None
    for name in ("gold", "predicted"):
        if not 0 <= row[name] < row["options"]:
            return f"{name} is {row[name]}; expected an index below {row['options']}"
    if not _in_range(row["gold_probability"]):
        return f"gold_probability is {row['gold_probability']}; expected a number from 0 to 1"
    return None


def _in_range(value: float | None) -> bool:
    # NaN fails both comparisons.
    return value is not None and -_ROUNDING <= value <= 1 + _ROUNDING
