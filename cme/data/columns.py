"""Does a table hold the columns that its dataset promises?"""

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
"""Rows that are Python objects at a time: few enough for their memory to be used again while it is in the cache."""


def needed_columns(spec: DatasetSpec) -> set[str]:
    """The columns that a dataset's rows are made of; all others need not be read."""
    return {
        name.split(".")[0] for name in (*spec.columns, *spec.key, *spec.cluster, *filter(None, [spec.subset_column]))
    }


def table_rows(table: "pa.Table", spec: DatasetSpec, start: int = 0) -> Iterator[Row]:
    """A table's rows with the columns that the dataset needs, a batch at a time.

    Args:
        table: its columns were checked.
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
    """Compare a table's schema with ``spec.columns``; further columns are fine, so are integers and strings of other widths.

    The order of the columns does not matter, and a string may be dictionary-encoded.

    Args:
        schema: the table's schema.
        spec: the dataset.
        where: dataset and split, for the message.
        file: the file or repository, for the message.

    Raises:
        DataError: columns are missing or of another type; all of them in one message.
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
            f"The file is {file}. It is another dataset or another version. Download it again from {spec.hub_id}."
        )


def unwrap(table: "pa.Table", spec: DatasetSpec) -> "pa.Table":
    """A table whose only column is the struct ``spec.wrapper`` → a table of that struct's fields; others as they are."""
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
