"""Processes that are left after a program, whatever their command lines are."""

import ctypes
import os
import time

from cme.sandbox.inside.family import descendants

__all__ = ["adopt_orphans", "survivors"]

_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans(adopt: bool) -> None:
    """Make this process the parent of all orphans below it, so that `survivors` sees them."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(adopt))


def survivors(before: set[int], pid: int | None = None) -> set[int]:
    """Return the processes below a process (by default this one) that are not among earlier ones.

    The kernel needs a moment to end a killed process.
    """
    end = time.monotonic() + 30
    while (left := descendants(pid or os.getpid()) - before) and time.monotonic() < end:
        time.sleep(0.02)
    return left
