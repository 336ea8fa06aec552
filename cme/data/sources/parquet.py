"""Parquet files → one table."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cme.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["read_parquet"]


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
