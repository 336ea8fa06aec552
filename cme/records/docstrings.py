"""Descriptions in the docstrings of records, for their JSON schemas."""

import inspect
import re

__all__ = ["attributes", "summary"]

_ATTRIBUTE = re.compile(r"^    (\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)
_HEADING = "\n\nAttributes:\n"


def summary(cls: type) -> str:
    """Return the text before ``Attributes:``, in one line."""
    return _one_line(inspect.cleandoc(cls.__doc__ or "").partition(_HEADING)[0])


def attributes(cls: type) -> dict[str, str]:
    """Return the description of each attribute in the docstrings of a class and its bases, in one line each."""
    texts: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        text = inspect.cleandoc(base.__dict__.get("__doc__") or "").partition(_HEADING)[2]
        texts |= {name: _one_line(words) for name, words in _ATTRIBUTE.findall(text)}
    return texts


def _one_line(text: str) -> str:
    return " ".join(text.split())
