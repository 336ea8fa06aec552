"""Checkpoints that are known to be whole.

The Trainer writes a checkpoint file by file and resumes silently, on another trajectory, from one that lacks its
optimiser or random state. So a list of the files and their sizes is added when all of them are there, by all processes;
a checkpoint without a list that fits is never resumed from.
"""

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cme.config import build, validated
from cme.errors import CMEError
from cme.files import read_json, write_json

__all__ = ["FOLDER", "MARKER", "Spent", "mark", "newest", "prune"]

FOLDER = "checkpoints"
MARKER = ".complete.json"
_PREFIX = "checkpoint-"
_WEIGHTS = "*model*.safetensors"
"""An adapter's ``adapter_model.safetensors``, or a whole model's file or files."""


@validated("what a run has cost")
class Spent:
    """What a run has cost up to a checkpoint; work that was lost after it counts for nothing.

    Attributes:
        step: optimiser steps done.
        wall_seconds: time in the training loop.
        peak_memory_bytes: the most memory a process used.
        interruptions: how often the run was continued from a checkpoint.
        started: UTC time at which the run began, ISO 8601.
    """

    step: int
    wall_seconds: float
    peak_memory_bytes: int
    interruptions: int
    started: str


def mark(folder: Path, spent: Spent, world_size: int, further: Sequence[str] = ()) -> None:
    """Declare a checkpoint whole: its files go to disk, then the list of them.

    Args:
        folder: the checkpoint's.
        spent: what the run has cost up to it.
        world_size: processes, each with a random state of its own.
        further: names of files that this run's checkpoints have beside the usual ones.

    Raises:
        CMEError: a file that resuming needs is not there.
    """
    states = ["rng_state.pth"] if world_size == 1 else [f"rng_state_{rank}.pth" for rank in range(world_size)]
    needed = ["optimizer.pt", "scheduler.pt", "trainer_state.json", *states, *further]
    lacking = [name for name in needed if not (folder / name).is_file()]
    if not any(folder.glob(_WEIGHTS)):
        lacking.append(_WEIGHTS)
    if lacking:
        raise CMEError(
            f"{folder} lacks {', '.join(lacking)}, so the run could not be continued from it. "
            "With several machines, --out must lie where all of them write."
        )
    files = _sizes(folder)
    for name in files:
        with (folder / name).open("rb+") as file:
            os.fsync(file.fileno())
    write_json(folder / MARKER, {"files": files, "spent": asdict(spent)})


def newest(root: Path) -> tuple[Path, Spent] | None:
    """The newest whole checkpoint below ``root``, or None; what is not whole is removed."""
    found: list[tuple[Path, Spent]] = []
    for folder in _folders(root):
        spent = _read(folder)
        if spent is None:
            shutil.rmtree(folder)
        else:
            found.append((folder, spent))
    return max(found, key=lambda item: item[1].step, default=None)


def prune(root: Path, keep: Path) -> None:
    """Remove all checkpoints below ``root`` but one."""
    for folder in _folders(root):
        if folder != keep:
            (folder / MARKER).unlink(missing_ok=True)
            shutil.rmtree(folder)


def _folders(root: Path) -> Iterable[Path]:
    return [folder for folder in sorted(root.glob(f"{_PREFIX}*")) if folder.is_dir()]


def _sizes(folder: Path) -> dict[str, int]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MARKER)
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}


def _read(folder: Path) -> Spent | None:
    """What the checkpoint's list says, if every file in it is there in its size."""
    if not (folder / MARKER).is_file():
        return None
    try:
        values: Any = read_json(folder / MARKER)
        sizes = _sizes(folder)
        if any(sizes.get(name) != size for name, size in values["files"].items()):
            return None
        return build(Spent, values["spent"], str(folder / MARKER))
    except (CMEError, KeyError, TypeError, AttributeError):
        return None
