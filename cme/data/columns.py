"""Comparison of the columns of a table with the definition of its dataset."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cme.data.example import Row
from cme.errors import DataError
from cme.readers.parquet_file import read_rows
from cme.suite import DatasetSpec

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["check_columns", "needed_columns", "table_rows", "unwrap"]

_BATCH = 1024
"""Number of rows that are Python objects at the same time. They are few, so that their memory stays in the processor's cache."""


def needed_columns(spec: DatasetSpec) -> set[str]:
    """Return the columns that a dataset needs. Other columns are not read."""
    return {
        name.split(".")[0] for name in (*spec.columns, *spec.key, *spec.cluster, *filter(None, [spec.subset_column]))
    }


def table_rows(table: "pa.Table", spec: DatasetSpec, start: int = 0) -> Iterator[Row]:
    """Yield the rows of a table with the columns that the dataset needs.

    Args:
        table: a table with checked columns.
        spec: the dataset.
        start: number of the first row, for messages.

    Raises:
        ValueError: a text is not UTF-8.
    """
    names = needed_columns(spec)
    for batch in table.select([name for name in table.schema.names if name in names]).to_batches(_BATCH):
        yield from read_rows(batch, start)
        start += batch.num_rows


def check_columns(schema: "pa.Schema", spec: DatasetSpec, where: str, file: str) -> None:
    """Check that a schema has the columns in ``spec.columns``.

    Other columns, any order of columns, integers and strings of other widths and dictionary-encoded strings are allowed.

    Args:
        schema: schema of the table.
        spec: the dataset.
        where: dataset and split, for the message.
        file: file or repository, for the message.

    Raises:
        DataError: columns are missing or have another type. The message lists all of them.
    """
    problems = []
    for name, expected in spec.columns.items():
        if name not in schema.names:
            problems.append(f"column {name!r} ({_spell(expected)}) is missing")
        elif not _fits(schema.field(name).type, expected):
            problems.append(f"column {name!r} is {schema.field(name).type}, expected {_spell(expected)}")
    if problems:
        raise DataError(
            f"{where}: {'; '.join(problems)}. Found columns: {', '.join(schema.names) or 'none'}.\n"
            f"{file} is another dataset or another version. Download it again from {spec.hub_id}."
        )


def unwrap(table: "pa.Table", spec: DatasetSpec) -> "pa.Table":
    """Return the fields of the struct ``spec.wrapper`` if it is the only column of the table. Return other tables unchanged."""
    import pyarrow as pa

    if spec.wrapper is None or table.schema.names != [spec.wrapper]:
        return table
    wrapped = table.schema.field(0).type
    if not pa.types.is_struct(wrapped):
        return table
    return (
        pa.Table.from_batches([pa.RecordBatch.from_struct_array(chunk) for chunk in table.column(0).chunks])
        if table.num_rows
        else pa.schema(list(wrapped)).empty_table()
    )


def _spell(expected: Any) -> str:
    if isinstance(expected, dict):
        return "struct<" + ", ".join(f"{key}: {_spell(value)}" for key, value in expected.items()) + ">"
    return str(expected)


def _fits(kind: "pa.DataType", expected: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return _fits(kind.value_type, expected)
    if isinstance(expected, dict):
        return pa.types.is_struct(kind) and all(
            kind.get_field_index(name) >= 0 and _fits(kind.field(name).type, field) for name, field in expected.items()
        )
    if expected.startswith("list<"):
        inner = expected.removeprefix("list<").removesuffix(">")
        return (pa.types.is_list(kind) or pa.types.is_large_list(kind)) and _fits(kind.value_type, inner)
    if expected == "string":
        return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))
    if expected.startswith("int"):
        return bool(pa.types.is_integer(kind))
    return bool(str(kind) == expected)
