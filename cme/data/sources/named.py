"""Mirror folders with a name: ``NAME=DIR`` on the command line, ``{path: DIR, name: NAME}`` in YAML.

The name stands for the rows in records and tables, on every machine and wherever the folder lies.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cme.errors import UsageError, unknown

__all__ = ["NamedFolder", "named_folder", "source_identity", "source_notes", "source_text"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_RESERVED = ("hub", "mini")
_KEYS = ("path", "name")


@dataclass(frozen=True)
class NamedFolder:
    """A mirror folder and its name."""

    name: str
    folder: Path


def named_folder(text: str) -> NamedFolder | None:
    """Return the parts of ``NAME=DIR``, or None if the text is another source, such as a folder with ``=`` in its name.

    Raises:
        UsageError: the name is not valid or is reserved, or the folder is missing.
    """
    name, equals, place = text.partition("=")
    options_of_mini = text.partition(":")[0] == "mini"
    if not equals or "/" in name or options_of_mini or Path(text).expanduser().is_dir():
        return None
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"the source {text!r} has a name that is not valid. Give NAME=DIR with a name of at most 64 letters, digits, '.', "
            "'_' and '-', which begins with a letter or a digit."
        )
    if name in _RESERVED:
        raise UsageError(f"the name {name!r} in the source {text!r} is reserved. Choose another name for the folder.")
    if not place:
        raise UsageError(f"the source {text!r} has no folder. Give NAME=DIR.")
    return NamedFolder(name, Path(place).expanduser())


def source_identity(text: str) -> str:
    """Return what identifies a source in the settings of a command: the name of a named folder, else the text itself."""
    named = named_folder(text)
    return text if named is None else named.name


def source_notes(text: str) -> dict[str, str]:
    """Return the notes of a command with this source (`cme.workdir.claim`): the given text if the source is a named folder."""
    return {} if named_folder(text) is None else {"source": text}


def source_text(source: str | Mapping[str, str]) -> str:
    """Return a source as text, from text or from a mapping with ``path`` and optionally ``name``.

    Args:
        source: ``hub``, ``mini``, a folder, ``NAME=DIR``, or ``{"path": DIR, "name": NAME}`` as in YAML.

    Raises:
        UsageError: the mapping has another key, lacks ``path``, or a value is not text.
    """
    if isinstance(source, str):
        return source
    for key, value in source.items():
        if key not in _KEYS:
            raise unknown("key of a source", str(key), _KEYS)
        if not isinstance(value, str) or not value:
            raise UsageError(f"{key} of the source is {value!r}. Give text.")
    if "path" not in source:
        raise UsageError("the source has no path. Give the mirror folder as path, and its name in tables as name.")
    return f"{source['name']}={source['path']}" if "name" in source else source["path"]
