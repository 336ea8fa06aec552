"""Checkpoints that are known to be complete.

The Trainer writes a checkpoint file by file. From a checkpoint without optimiser or random state it resumes silently, with
other results. CME therefore adds a list of the files and their sizes after all processes have written their files. It never
resumes from a checkpoint whose files do not match its list.
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

__all__ = ["FOLDER", "MARKER", "Spent", "complete", "mark", "newest", "prune"]

FOLDER = "checkpoints"
MARKER = ".complete.json"
_PREFIX = "checkpoint-"
_WEIGHTS = "*model*.safetensors"
"""Pattern for an adapter's ``adapter_model.safetensors``, or for the files of a whole model."""


@validated("what a run has cost")
class Spent:
    """The cost of a run up to a checkpoint. Work after the checkpoint that was lost is not included.

    Attributes:
        step: Number of optimiser steps.
        wall_seconds: Time in the training loop, in seconds.
        peak_memory_bytes: Largest memory use of a process, in bytes.
        interruptions: Number of times that the run was resumed from a checkpoint.
        started: UTC time of the start of the run, in ISO 8601.
    """

    step: int
    wall_seconds: float
    peak_memory_bytes: int
    interruptions: int
    started: str


def mark(folder: Path, spent: Spent, world_size: int, further: Sequence[str] = ()) -> None:
    """Mark a checkpoint as complete: flush its files to disk, then write the list of files.

    Args:
        folder: The checkpoint's folder.
        spent: The cost of the run up to the checkpoint.
        world_size: Number of processes. Each has its own random state.
        further: Names of files that checkpoints of this run have in addition to the usual ones.

    Raises:
        CMEError: A file that is needed to resume is missing.
    """
    states = ["rng_state.pth"] if world_size == 1 else [f"rng_state_{rank}.pth" for rank in range(world_size)]
    needed = ["optimizer.pt", "scheduler.pt", "trainer_state.json", *states, *further]
    lacking = [name for name in needed if not (folder / name).is_file()]
    if not any(folder.glob(_WEIGHTS)):
        lacking.append(_WEIGHTS)
    if lacking:
        raise CMEError(
            f"{folder} lacks {', '.join(lacking)}, so the run cannot be resumed from this checkpoint. "
            "With several machines, --out must be on a file system that all of them share."
        )
    files = _sizes(folder)
    for name in files:
        with (folder / name).open("rb+") as file:
            os.fsync(file.fileno())
    write_json(folder / MARKER, {"files": files, "spent": asdict(spent)})


def newest(root: Path) -> tuple[Path, Spent] | None:
    """Return the newest complete checkpoint in ``root`` and its cost, or None. Incomplete checkpoints are removed."""
    complete: list[tuple[Path, Spent]] = []
    for folder in _folders(root):
        spent = _read(folder)
        if spent is None:
            shutil.rmtree(folder)
        else:
            complete.append((folder, spent))
    return max(complete, key=lambda item: item[1].step, default=None)


def complete(root: Path) -> list[tuple[Path, int]]:
    """Return the complete checkpoints in ``root`` with their steps, in the order of their steps. Nothing is removed."""
    read = [(folder, _read(folder)) for folder in _folders(root)]
    return sorted(((folder, spent.step) for folder, spent in read if spent is not None), key=lambda item: item[1])


def prune(root: Path, keep: Path) -> None:
    """Remove all checkpoints in ``root`` except ``keep``."""
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
    """Read the cost from the checkpoint's list, or return None if a file is missing or has another size."""
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
