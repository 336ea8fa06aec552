"""Access to checked values of columns, for all normalisers."""

from typing import Any

from cme.data.example import Dropped, Row
from cme.suite import DatasetSpec

__all__ = ["BadValueError", "is_empty", "label", "text"]


class BadValueError(Exception):
    """A value that the definition of the dataset does not allow. The loader adds dataset, file and row number.

    Args:
        column: name of the column.
        value: the value.
        expected: description of the allowed values.
    """

    def __init__(self, column: str, value: Any, expected: str) -> None:
        super().__init__(column, value, expected)
        self.column, self.value, self.expected = column, value, expected


def text(row: Row, column: str) -> str:
    """Return a text without outer white space and with line feeds as line breaks, or "" for null.

    Raises:
        BadValueError: the value is not a text.
    """
    value = row[column]
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadValueError(column, value, "text")
    if "\r" in value:
        value = value.replace("\r\n", "\n").replace("\r", "\n")
    return value.strip()


def label(row: Row, spec: DatasetSpec, column: str = "label") -> int | Dropped:
    """Return a label as an index into ``spec.choices``. Rows with -1 or null have no label and are dropped.

    Raises:
        BadValueError: the label is out of range.
    """
    choices = spec.choices or ()
    value = row[column]
    if value is None or value == -1:
        return Dropped("no label")
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < len(choices):
        meaning = " or ".join(f"{k} ({word})" for k, word in enumerate(choices))
        raise BadValueError(column, value, meaning)
    return value


def is_empty(*texts: str) -> bool:
    """Return whether any of the texts is empty."""
    return not all(texts)
