"""Completion markers: a step whose marker is there, and whose files are what the marker says, is not done again."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cme.errors import CMEError
from cme.files import read_json, sha256_file, write_json

__all__ = ["is_marked", "mark", "marked_digests", "marked_value"]


def mark(marker: Path, files: Iterable[Path], value: Any = None) -> None:
    """Write down that a step is complete.

    Args:
        marker: the file that says so; written last.
        files: what the step wrote.
        value: what else the step found (JSON).
    """
    made = {os.path.relpath(file, marker.parent): sha256_file(file) for file in files}
    write_json(marker, {"files": made, "value": value}, durable=False)


def is_marked(marker: Path) -> bool:
    """Whether the step is complete and none of its files was lost or damaged since; every file is read."""
    try:
        made = read_json(marker)["files"]
        return all(sha256_file(marker.parent / name) == value for name, value in made.items())
    except (CMEError, OSError, KeyError, TypeError, AttributeError):
        return False


def marked_digests(marker: Path) -> list[str]:
    """SHA-256 (hex) of each file that the step wrote, in the order in which `mark` was told of them.

    Raises:
        CMEError: the marker is missing or damaged.
    """
    return list(read_json(marker)["files"].values())


def marked_value(marker: Path) -> Any:
    """What the step found besides its files.

    Raises:
        CMEError: the marker is missing or damaged.
    """
    return read_json(marker)["value"]
