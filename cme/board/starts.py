"""Locks of steps that a driver has started. A command locks its output folder only some seconds after its start."""

import contextlib
import os
from pathlib import Path

from cme.errors import CMEError, UsageError
from cme.locks import LOCK_FILE, Holder, holder_of, locked, unlock

__all__ = ["Starts"]

_ATTEMPTS = 5


class Starts:
    """The steps that drivers of a board have started, as locked folders in its work folder.

    Args:
        work: the work folder of the board.
    """

    def __init__(self, work: Path) -> None:
        self._root = work / "starts"

    def take(self, name: str) -> bool:
        """Lock a step for this driver. Return False if another driver has started it.

        Raises:
            CMEError: the work folder cannot be written.
        """
        folder = self._root / name
        for attempt in range(_ATTEMPTS):
            try:
                folder.mkdir(parents=True, exist_ok=True)
                locked(folder, "board run")
                return True
            except UsageError:
                return False
            except (CMEError, FileNotFoundError):
                # Another driver, which ends, has removed the empty folder.
                if folder.exists() or attempt == _ATTEMPTS - 1:
                    raise
        return False

    def release(self, name: str) -> None:
        """Release the lock of a step."""
        unlock(self._root / name)

    def other(self, name: str) -> Holder | None:
        """Return the other driver that has started a step, or None."""
        holder = holder_of(self._root / name)
        return None if holder is None or holder.pid == os.getpid() else holder

    def tidy(self) -> None:
        """Remove the folders in which nothing is locked, and the lock files of drivers that were killed."""
        for name, _, files in os.walk(self._root, topdown=False):
            folder = Path(name)
            with contextlib.suppress(OSError, CMEError):
                if LOCK_FILE in files and holder_of(folder) is None:
                    locked(folder, "board run")
                    unlock(folder)
                folder.rmdir()
