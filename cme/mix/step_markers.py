"""Completion markers. A step is not repeated if its marker exists and its files match the marker."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cme.errors import CMEError
from cme.files import read_json, sha256_file, write_json

__all__ = ["is_marked", "mark", "marked_digests", "marked_value"]


def mark(marker: Path, files: Iterable[Path], value: Any = None) -> None:
    """Mark a step as complete.

    Args:
        marker: marker file, which is written last.
        files: files that the step wrote.
        value: other results of the step, as JSON values.
    """
    made = {os.path.relpath(file, marker.parent): sha256_file(file) for file in files}
    write_json(marker, {"files": made, "value": value}, durable=False)


def is_marked(marker: Path) -> bool:
    """Return whether the step is complete and all of its files are intact. Every file is read."""
    try:
        made = read_json(marker)["files"]
        return all(sha256_file(marker.parent / name) == value for name, value in made.items())
    except (CMEError, OSError, KeyError, TypeError, AttributeError):
        return False


def marked_digests(marker: Path) -> list[str]:
    """Return the SHA-256 (hex) of each file that the step wrote, in the order of the argument of `mark`.

    Raises:
        CMEError: the marker is missing or damaged.
    """
    return list(read_json(marker)["files"].values())


def marked_value(marker: Path) -> Any:
    """Return the other results of the step, as given to `mark`.

    Raises:
        CMEError: the marker is missing or damaged.
    """
    return read_json(marker)["value"]
