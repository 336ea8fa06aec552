"""What every normaliser needs: a column's value, checked, with an error that a person can act on."""

from typing import Any

from cme.data.example import Dropped, Row
from cme.suite import DatasetSpec

__all__ = ["BadValueError", "is_empty", "label", "text"]


class BadValueError(Exception):
    """A value outside of what the dataset promises; the loader adds dataset, file and row number.

    Args:
        column: the column's name.
        value: the value.
        expected: what was expected, in words.
    """

    def __init__(self, column: str, value: Any, expected: str) -> None:
        super().__init__(column, value, expected)
        self.column, self.value, self.expected = column, value, expected


def text(row: Row, column: str) -> str:
    """A text column with outer white space and carriage returns removed ("" for null).

    Raises:
        BadValueError: the value is no text.
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
    """A label column as an index into ``spec.choices``; -1 and null are unlabelled rows and dropped.

    Raises:
        BadValueError: the label is outside of the range.
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
    """True if any of the texts is empty."""
    return not all(texts)
