"""Pieces of splits with some thousand rows, so that several processes can read a split and none holds all of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cme.data.columns import check_columns, needed_columns, table_rows, unwrap
from cme.data.example import Row
from cme.data.sources import Generator, Source
from cme.readers.parquet_file import open_parquet
from cme.suite import DatasetSpec, Subset

if TYPE_CHECKING:
    import pyarrow as pa

    from cme.readers.parquet_file import ParquetReader

__all__ = ["PIECE_ROWS", "Piece", "pieces", "rows_of"]

PIECE_ROWS = 20_000
"""A piece has at least this number of rows, unless its file has fewer. It exceeds the number by less than one row group."""

_BATCH = 1024  # as in `cme.data.load`


@dataclass(frozen=True)
class Piece:
    """Consecutive rows of a split.

    Attributes:
        subset: name of the subset.
        split: hub name of the split.
        start: number of the first row in the split.
        rows: number of rows.
        file: the Parquet file; None if the source generates the rows.
        groups: row groups of the file.
    """

    subset: str
    split: str
    start: int
    rows: int
    file: Path | None = None
    groups: tuple[int, ...] = ()


def pieces(source: Source, spec: DatasetSpec, subset: Subset, split: str) -> list[Piece]:
    """Divide a split into pieces. The same split always gives the same pieces.

    Args:
        source: where the rows come from.
        spec: the dataset.
        subset: subset of the dataset.
        split: hub name of the split.

    Returns:
        The pieces, in the order of their rows.

    Raises:
        SourceError: the source lacks the split.
        DataError: a file cannot be read as Parquet.
    """
    if isinstance(source, Generator):
        count = source.count(spec, subset, split)
        starts = range(0, count, PIECE_ROWS)
        return [Piece(subset.name, split, start, min(PIECE_ROWS, count - start)) for start in starts]
    runs, start = [], 0
    for file in source.files(spec, subset, split):
        with open_parquet(file, where=f"{spec.name}/{split}: {file}") as opened:
            metadata = opened.metadata
        groups: list[int] = []
        rows = 0
        for group in range(metadata.num_row_groups):
            groups.append(group)
            rows += metadata.row_group(group).num_rows
            if rows >= PIECE_ROWS or group == metadata.num_row_groups - 1:
                runs.append(Piece(subset.name, split, start, rows, file, tuple(groups)))
                start, rows, groups = start + rows, 0, []
    return runs


def rows_of(source: Source, spec: DatasetSpec, piece: Piece) -> Iterator[Row]:
    """Yield the rows of a piece with the columns that the dataset needs.

    Args:
        source: where the rows come from.
        spec: the dataset.
        piece: the piece.

    Raises:
        DataError: the file is damaged, or does not match the definition of the dataset.
    """
    subset = next(subset for subset in spec.subsets if subset.name == piece.subset)
    where = f"{spec.name}/{piece.split}"
    if piece.file is None:
        assert isinstance(source, Generator)
        table = source.span(spec, subset, piece.split, piece.start, piece.rows)
        check_columns(table.schema, spec, where, source.locate(spec, subset, piece.split))
        yield from table_rows(table, spec, piece.start)
        return
    start = piece.start
    with open_parquet(piece.file, where=f"{where}: {piece.file}") as file:
        for table in _tables(file, piece.groups, spec):
            check_columns(table.schema, spec, where, str(piece.file))
            yield from table_rows(table, spec, start)
            start += table.num_rows


def _tables(file: "ParquetReader", groups: tuple[int, ...], spec: DatasetSpec) -> "Iterator[pa.Table]":
    import pyarrow as pa

    names = file.schema.names
    wrapped = spec.wrapper is not None and names == [spec.wrapper]
    # If columns are missing, all columns are read, because the message lists them.
    needed = [name for name in names if name in needed_columns(spec)]
    columns = None if wrapped or set(needed) != needed_columns(spec) else needed
    for batch in file.batches(columns, groups=groups, size=_BATCH):
        yield unwrap(pa.Table.from_batches([batch]), spec)
