"""Reading of Parquet files as one table, and of their footers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from cme.errors import DataError
from cme.readers.parquet_file import open_parquet

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Footer", "read_footer", "read_parquet"]


@dataclass(frozen=True)
class Footer:
    """Metadata of the files of a split.

    Attributes:
        schema: columns and types of the first file.
        rows: number of rows of all files.
    """

    schema: "pa.Schema"
    rows: int

    @classmethod
    def of_all(cls, footers: Sequence["Footer"]) -> "Footer":
        """Combine the footers of the files of a split.

        Args:
            footers: at least one footer.
        """
        return cls(footers[0].schema, sum(footer.rows for footer in footers))


def read_footer(file: "Path | IO[bytes]", where: str) -> Footer:
    """Read the footer of a file.

    Args:
        file: a path or an open file.
        where: the file, for the message.

    Raises:
        DataError: the file is not a Parquet file.
    """
    with open_parquet(file, where=where) as opened:
        return Footer(opened.schema, opened.metadata.num_rows)


def read_parquet(files: Sequence[Path], where: str) -> "pa.Table":
    """Read the shards of one split as one table.

    Shards may differ in the order of their columns, in the width of integers, and in how strings are stored.

    Args:
        files: at least one file, in order.
        where: dataset and split, for the message.

    Raises:
        DataError: a file is not a Parquet file, or the files do not have the same columns.
    """
    import pyarrow as pa

    tables = []
    for path in files:
        with open_parquet(path, where=f"{where}: {path}") as file:
            tables.append(_plain_strings(file.table()))
    try:
        if strange := sorted({*tables[0].column_names} ^ {name for table in tables for name in table.column_names}):
            raise pa.ArrowInvalid(f"some files lack {', '.join(strange)}")
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise DataError(
            f"{where}: the files do not have the same columns and types ({error}).\n"
            f"The files are {', '.join(map(str, files))}. Download all of them again from one version."
        ) from error


def _plain_strings(table: "pa.Table") -> "pa.Table":
    """Convert dictionary-encoded top-level columns and string views to plain columns."""
    import pyarrow as pa

    def plain(kind: pa.DataType) -> pa.DataType:
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        return pa.large_string() if pa.types.is_string_view(kind) else kind

    return table.cast(pa.schema([field.with_type(plain(field.type)) for field in table.schema], table.schema.metadata))
