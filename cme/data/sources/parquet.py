"""Parquet files → one table, or what their footers say."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from cme.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Footer", "read_footer", "read_parquet"]


@dataclass(frozen=True)
class Footer:
    """What a split's files say of themselves.

    Attributes:
        schema: columns and types, of the first file.
        rows: number of rows of all files.
    """

    schema: "pa.Schema"
    rows: int

    @classmethod
    def of_all(cls, footers: Sequence["Footer"]) -> "Footer":
        """The footers of the files of one split as one.

        Args:
            footers: at least one.
        """
        return cls(footers[0].schema, sum(footer.rows for footer in footers))


def read_footer(file: "Path | IO[bytes]", where: str) -> Footer:
    """Read one file's footer.

    Args:
        file: a path or an open file.
        where: the file, for the message.

    Raises:
        DataError: it is no Parquet file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as opened:
            return Footer(opened.schema_arrow, opened.metadata.num_rows)
    except pa.ArrowException as error:
        raise DataError(f"{where} cannot be read as Parquet ({error}). Get the file again.") from error


def read_parquet(files: Sequence[Path], where: str) -> "pa.Table":
    """Read the shards of one split.

    Args:
        files: at least one, in order.
        where: dataset and split, for the message.

    Raises:
        DataError: a file is no Parquet file, or the files do not have the same columns.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = []
    for path in files:
        try:
            with pq.ParquetFile(path) as file:
                tables.append(file.read())
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{where}: {path} cannot be read as Parquet ({error}). Get the file again.") from error
    try:
        return pa.concat_tables(tables)
    except pa.ArrowException as error:
        raise DataError(
            f"{where}: the files do not have the same columns and types ({error}).\n"
            f"The files are {', '.join(map(str, files))}. Get all of them again, from one version."
        ) from error
