"""The sentences of a record's docstring, which its JSON schema repeats."""

import inspect
import re

__all__ = ["attributes", "summary"]

_ATTRIBUTE = re.compile(r"^    (\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)
_HEADING = "\n\nAttributes:\n"


def summary(cls: type) -> str:
    """The text before ``Attributes:``, in one line."""
    return _one_line(inspect.cleandoc(cls.__doc__ or "").partition(_HEADING)[0])


def attributes(cls: type) -> dict[str, str]:
    """What the docstrings of a class and of its bases say of each attribute, in one line each."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        text = inspect.cleandoc(base.__dict__.get("__doc__") or "").partition(_HEADING)[2]
        found |= {name: _one_line(words) for name, words in _ATTRIBUTE.findall(text)}
    return found


def _one_line(text: str) -> str:
    return " ".join(text.split())
