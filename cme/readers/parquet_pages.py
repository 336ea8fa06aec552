"""Reads the headers of the pages of a Parquet file.

The footer of a file states the bytes and values of each column, but Arrow allocates the sizes in the headers of the pages. A
damaged or malicious file can differ in both, so the headers are read before any page is decompressed.

Source: the Parquet format (https://github.com/apache/parquet-format, ``parquet.thrift``) and Thrift's compact protocol.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

__all__ = ["Page", "pages_of"]

_FIRST_READ, _LARGEST_HEADER = 1 << 12, 1 << 24
_DATA, _DICTIONARY, _DATA_V2 = 0, 2, 3
_STOP, _TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(13)
_DEPTH = 16


@dataclass(frozen=True)
class Page:
    """A page of a column.

    Attributes:
        unpacked: bytes after decompression.
        values: number of values. 0 for a dictionary.
        dictionary: whether the page is the dictionary of the column.
    """

    unpacked: int
    values: int
    dictionary: bool


def pages_of(file: IO[bytes], column: Any, size: int) -> Iterator[Page]:
    """Yield the pages of one column chunk that Arrow would read.

    Args:
        file: the open file.
        column: metadata of the chunk (``pyarrow.parquet.ColumnChunkMetaData``).
        size: size of the file in bytes.

    Raises:
        ValueError: if a header is damaged, or the chunk lies outside the file.
    """
    place = column.data_page_offset
    if column.has_dictionary_page and 0 < (column.dictionary_page_offset or 0) < place:
        place = column.dictionary_page_offset
    end = place + column.total_compressed_size
    if not 0 <= place <= end <= size:
        raise ValueError(f"column {column.path_in_schema[:100]!a} lies outside the file")
    seen = 0
    while place < end and seen < column.num_values:
        header, used = _header(file, place, end)
        kind, unpacked, packed = (header.get(key) for key in (1, 2, 3))
        if not (isinstance(unpacked, int) and isinstance(packed, int) and unpacked >= 0 and packed >= 0):
            raise ValueError(f"a page of column {column.path_in_schema[:100]!a} has no size")
        inner = header.get(8 if kind == _DATA_V2 else 5) if kind in (_DATA, _DATA_V2) else None
        values = inner.get(1, 0) if isinstance(inner, dict) else 0
        if not isinstance(values, int) or values < 0:
            raise ValueError(f"a page of column {column.path_in_schema[:100]!a} has {values!r} values")
        yield Page(unpacked, values, kind == _DICTIONARY)
        seen += values
        place += used + packed


def _header(file: IO[bytes], place: int, end: int) -> tuple[dict[int, Any], int]:
    """Return the page header at a position of the file, and its size in bytes."""
    wanted = _FIRST_READ
    while True:
        file.seek(place)
        data = file.read(min(wanted, end - place))
        reader = _Compact(data)
        try:
            return reader.struct(), reader.place
        except IndexError:
            if len(data) < wanted or wanted >= _LARGEST_HEADER:
                raise ValueError("the header of a page is cut off or too large") from None
            wanted *= 16


class _Compact:
    """Parser for the part of Thrift's compact protocol that page headers use.

    Args:
        data: bytes that begin with a struct.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.place = 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Return the fields of a struct by number. Texts and lists are skipped and have the value None.

        Raises:
            IndexError: if the data end before the struct does.
            ValueError: if the data are not a struct.
        """
        if depth > _DEPTH:
            raise ValueError("the header of a page is nested too deeply")
        fields: dict[int, Any] = {}
        number = 0
        while (head := self._byte()) != _STOP:
            number = number + (head >> 4) if head >> 4 else self._signed()
            fields[number] = self._value(head & 15, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if kind in (_TRUE, _FALSE):
            return kind == _TRUE
        if kind == _BYTE:
            return self._byte()
        if kind in (_I16, _I32, _I64):
            return self._signed()
        if kind == _DOUBLE:
            return self._skip(8)
        if kind == _BINARY:
            return self._skip(self._unsigned())
        if kind in (_LIST, _SET):
            return self._list(depth)
        if kind == _STRUCT:
            return self.struct(depth + 1)
        raise ValueError(f"the header of a page has a field of the unknown type {kind}")

    def _list(self, depth: int) -> None:
        head = self._byte()
        count = self._unsigned() if head >> 4 == 15 else head >> 4
        for _ in range(count):
            # In a list, a Boolean takes one byte.
            if head & 15 in (_TRUE, _FALSE):
                self._byte()
            else:
                self._value(head & 15, depth + 1)

    def _byte(self) -> int:
        value = self._data[self.place]
        self.place += 1
        return value

    def _skip(self, count: int) -> None:
        self.place += count
        if self.place > len(self._data):
            raise IndexError

    def _unsigned(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
            if shift > 63:
                raise ValueError("the header of a page has a number that is too long")

    def _signed(self) -> int:
        value = self._unsigned()
        return (value >> 1) ^ -(value & 1)
