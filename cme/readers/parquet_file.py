"""Reads Parquet files. Limits are checked against the headers of the pages, because the footer can be wrong."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from cme.errors import CMEError, DataError
from cme.readers.limits import DATA_FILES, ParquetLimits
from cme.readers.parquet_pages import pages_of

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

__all__ = ["ParquetReader", "open_parquet", "read_rows"]

_BATCH = 1024


class ParquetReader:
    """An open Parquet file, created by `open_parquet`.

    Attributes:
        schema: names and types of the columns, in the order of the file.
        metadata: the footer of the file.
    """

    def __init__(self, opened: "pq.ParquetFile", limits: ParquetLimits, source: "Path | IO[bytes]") -> None:
        self.schema: pa.Schema = opened.schema_arrow
        self.metadata: pq.FileMetaData = opened.metadata
        self._opened, self._limits, self._source = opened, limits, source

    def check_pages(self, columns: Sequence[str] | None = None, groups: Sequence[int] | None = None) -> dict[str, int]:
        """Check the sizes in the headers of the pages against the limits.

        Args:
            columns: names of the columns. None means all columns.
            groups: indices of the row groups. None means all row groups.

        Returns:
            Bytes of the largest dictionary by path of the column, for text columns with a large dictionary.

        Raises:
            ValueError: if a limit is exceeded, or a header is damaged.
        """
        limits, large = self._limits, dict[str, int]()
        unpacked = values = 0
        with _bytes_of(self._source) as (file, size):
            for chunk in self._chunks(columns, groups):
                in_chunk = 0
                for page in pages_of(file, chunk, size):
                    unpacked, values, in_chunk = unpacked + page.unpacked, values + page.values, in_chunk + page.values
                    if page.unpacked > limits.page:
                        raise ValueError(f"a page has {page.unpacked:,} bytes unpacked; {limits.page:,} are allowed")
                    if limits.unpacked is not None and unpacked > limits.unpacked:
                        raise ValueError(f"it has {unpacked:,} bytes unpacked or more; {limits.unpacked:,} are allowed")
                    if values > limits.values:
                        raise ValueError(f"it has {values:,} values or more; {limits.values:,} are allowed")
                    if page.dictionary and page.unpacked >= limits.dictionary and chunk.physical_type == "BYTE_ARRAY":
                        path = chunk.path_in_schema
                        large[path] = max(page.unpacked, large.get(path, 0))
        return large

    def batches(
        self, columns: Sequence[str] | None = None, *, groups: Sequence[int] | None = None, size: int = _BATCH
    ) -> "Iterator[pa.RecordBatch]":
        """Yield the rows of the file in batches. The number of rows and the bytes of every batch are limited.

        Args:
            columns: names of the columns. None means all columns.
            groups: indices of the row groups. None means all row groups.
            size: maximum number of rows per batch.

        Raises:
            ValueError: if a limit is exceeded.
        """
        import pyarrow.parquet as pq

        limits, opened = self._limits, self._opened
        large = self.check_pages(columns, groups)
        nested = {path: length for path, length in large.items() if path not in self.schema.names}
        if nested and limits.text is not None:
            path, length = next(iter(nested.items()))
            raise ValueError(
                f"column {path[:100]!a} has a dictionary of {length:,} bytes; {limits.dictionary:,} are allowed"
            )
        if nested:
            # Arrow cannot return dictionaries inside lists and structs, so smaller batches limit the memory.
            size = max(1, min(size, limits.batch // (4 * max(nested.values()))))
        flat = sorted(large.keys() - nested.keys())
        every = range(self.metadata.num_row_groups) if groups is None else groups
        rows = 0
        with pq.ParquetFile(self._source, read_dictionary=flat) if flat else _kept(opened) as file:
            for batch in file.iter_batches(size, row_groups=list(every), columns=columns, use_threads=False):
                rows += batch.num_rows
                if rows > limits.rows:
                    raise ValueError(f"it has more than the {limits.rows:,} rows that are allowed")
                taken = sum(map(_expanded, batch.columns))
                if taken > limits.batch:
                    raise ValueError(
                        f"{batch.num_rows:,} of its rows take {taken:,} bytes; {limits.batch:,} are allowed"
                    )
                if limits.text is not None:
                    _check_texts(batch, limits.text)
                yield _plain(batch) if flat else batch

    def table(self, columns: Sequence[str] | None = None) -> "pa.Table":
        """Return all rows of a small file.

        Args:
            columns: names of the columns. None means all columns.

        Raises:
            ValueError: if a limit is exceeded.
        """
        import pyarrow as pa

        batches = list(self.batches(columns, size=1 << 16))
        if batches:
            return pa.Table.from_batches(batches)
        return self.schema.empty_table() if columns is None else self.schema.empty_table().select(list(columns))

    def _chunks(self, columns: Sequence[str] | None, groups: Sequence[int] | None) -> Iterator[Any]:
        for number in range(self.metadata.num_row_groups) if groups is None else groups:
            group = self.metadata.row_group(number)
            for k in range(group.num_columns):
                chunk = group.column(k)
                # The path of a column in a struct begins with the name of the struct, which can contain a full stop.
                if columns is None or any(f"{chunk.path_in_schema}.".startswith(f"{name}.") for name in columns):
                    yield chunk


@contextmanager
def open_parquet(
    source: "Path | IO[bytes]",
    limits: ParquetLimits = DATA_FILES,
    *,
    where: str | None = None,
    advice: str = "Get the file again.",
    error: type[CMEError] = DataError,
) -> Iterator[ParquetReader]:
    """Open a Parquet file after checking its size and its footer. Errors in the block become a single message.

    Args:
        source: a path or an open file.
        limits: limits on sizes.
        where: description of the file for messages. None means its path.
        advice: sentence that tells the user what to do.
        error: the class of error to raise.

    Raises:
        CMEError: (or ``error``) if it is not a Parquet file, is damaged, exceeds a limit, has two columns with the same name, or
            contains text that is not UTF-8.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    name = where or str(source)
    try:
        with _bytes_of(source) as (file, size):
            _check_ends(file, size, limits)
        with pq.ParquetFile(source) as opened:
            _check_footer(opened, limits)
            yield ParquetReader(opened, limits, source)
    except (pa.ArrowException, OSError, ValueError, KeyError, OverflowError, MemoryError) as problem:
        reason = next(iter(str(problem).strip().splitlines()), "") or type(problem).__name__
        raise error(f"{name} cannot be read as Parquet ({reason[:300]}). {advice}") from problem


def read_rows(batch: "pa.RecordBatch", start: int = 0, *, maps_as_dicts: bool = False) -> list[dict[str, Any]]:
    """Convert the rows of a batch to Python values. Dictionary-encoded text becomes plain text.

    Args:
        batch: a batch whose columns have distinct names.
        start: index of the first row in the file, for messages.
        maps_as_dicts: whether maps become dicts. Otherwise they become lists of pairs.

    Raises:
        ValueError: if a text is not UTF-8, or a map has a repeated key. The message names the column and the row.
    """
    kind = "strict" if maps_as_dicts else None
    try:
        rows: list[dict[str, Any]] = batch.to_pylist(maps_as_pydicts=kind)
    except (UnicodeDecodeError, KeyError) as problem:
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            for k in range(len(column)):
                try:
                    column[k].as_py(maps_as_pydicts=kind)
                except UnicodeDecodeError:
                    raise ValueError(f"column {name!r} has a text that is not UTF-8 at row {start + k}") from problem
                except KeyError:
                    raise ValueError(f"column {name!r} has a repeated key at row {start + k}") from problem
        raise
    return rows


def _check_ends(file: IO[bytes], size: int, limits: ParquetLimits) -> None:
    """Check the size of the file and of its footer before the footer is parsed."""
    if limits.size is not None and size > limits.size:
        raise ValueError(f"it has {size:,} bytes; {limits.size:,} are allowed")
    file.seek(max(0, size - 8))
    footer = int.from_bytes(file.read(8)[:4], "little")
    if footer > limits.footer:
        raise ValueError(f"its footer has {footer:,} bytes; {limits.footer:,} are allowed")


def _check_footer(opened: "pq.ParquetFile", limits: ParquetLimits) -> None:
    metadata, names = opened.metadata, opened.schema_arrow.names
    texts = metadata.metadata or {}
    for what, number, most in (
        ("bytes of metadata", sum(len(key) + len(value) for key, value in texts.items()), limits.metadata),
        ("columns", metadata.num_columns, limits.columns),
        ("row groups", metadata.num_row_groups, limits.groups),
        ("rows", metadata.num_rows, limits.rows),
    ):
        if number > most:
            raise ValueError(f"it has {number:,} {what}; {most:,} are allowed")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"it has two columns with the name {twice[0]!r}")


@contextmanager
def _bytes_of(source: "Path | IO[bytes]") -> Iterator[tuple[IO[bytes], int]]:
    """Yield the open file and its size. The position of a file that was already open is restored."""
    if isinstance(source, Path):
        if not source.is_file():
            raise FileNotFoundError("it does not exist or is not a regular file")
        with source.open("rb") as file:
            yield file, os.fstat(file.fileno()).st_size
        return
    place = source.tell()
    size = source.seek(0, os.SEEK_END)
    try:
        yield source, size
    finally:
        source.seek(place)


@contextmanager
def _kept(opened: Any) -> Iterator[Any]:
    yield opened


def _expanded(array: "pa.Array") -> int:
    """Return the bytes of an array after decoding its dictionary, if it has one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = array.type
    if pa.types.is_dictionary(kind):
        if pa.types.is_nested(kind.value_type) or pa.types.is_primitive(kind.value_type):
            return int(array.nbytes)
        return int(pc.sum(pc.binary_length(array.dictionary).take(array.indices)).as_py() or 0)
    return int(array.nbytes)


def _check_texts(batch: "pa.RecordBatch", most: int) -> None:
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if (longest := _longest(column)) > most:
            raise ValueError(f"column {name[:100]!a} has a text of {longest:,} characters; {most:,} are allowed")


def _longest(array: "pa.Array") -> int:
    """Return the number of characters of the longest text in an array."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = array.type
    if pa.types.is_dictionary(kind):
        return _longest(array.dictionary)
    if pa.types.is_struct(kind):
        return max((_longest(array.field(k)) for k in range(kind.num_fields)), default=0)
    if pa.types.is_map(kind):
        return max(_longest(array.keys), _longest(array.items))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _longest(array.values)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return int(pc.max(pc.utf8_length(array)).as_py() or 0)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return int(pc.max(pc.binary_length(array)).as_py() or 0)
    return 0


def _plain(batch: "pa.RecordBatch") -> "pa.RecordBatch":
    """Return a batch with decoded dictionaries. Its size was checked before."""
    import pyarrow as pa

    def plain(kind: "pa.DataType") -> "pa.DataType":
        return kind.value_type if pa.types.is_dictionary(kind) else kind

    return batch.cast(pa.schema([field.with_type(plain(field.type)) for field in batch.schema]))
