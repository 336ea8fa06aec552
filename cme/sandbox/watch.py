"""Watches what the kernel does not limit: the number of files in a sandbox, and the number of threads if CME runs as root."""

import os

from cme.machine import usable_processors
from cme.sandbox.inside.family import children, threads, threads_of_user
from cme.sandbox.programs import LIMITS

__all__ = ["MOST_FILES", "excess", "most_threads"]

MOST_FILES = 10_000
"""Most files and folders of a program in its sandbox. Each needs memory of the kernel, also if it is empty."""


def excess(pid: int, *, sandboxed: bool) -> str:
    """Return what the processes below a process have too much of, or an empty text.

    Args:
        pid: number of the process, which is bubblewrap or a supervisor.
        sandboxed: whether the processes have a folder in memory.
    """
    total, waiting = 0, children(pid)
    if sandboxed and waiting and _files(waiting[0]) > MOST_FILES:
        return f"the program created more than {MOST_FILES:,} files"
    while waiting:
        process = waiting.pop()
        total += threads(process)
        if total > LIMITS.processes:
            return f"the program started more than {LIMITS.processes} threads and processes"
        waiting += children(process)
    return ""


def most_threads(*, sandboxed: bool) -> int:
    """Return the limit on threads that the kernel is given for a program.

    A sandbox counts its own threads. Without one, the kernel counts all threads of the user, also those of other programs.

    Args:
        sandboxed: whether the program runs in a sandbox.
    """
    if sandboxed:
        return LIMITS.processes
    return threads_of_user(os.getuid()) + LIMITS.processes * (1 + usable_processors())


def _files(pid: int) -> int:
    """Return the number of files in the folder of a process's sandbox, or 0 if it is not there (yet)."""
    try:
        folder = os.statvfs(f"/proc/{pid}/root/tmp")
        # Before the sandbox is made, this is the folder of the machine.
        own = folder.f_blocks * folder.f_frsize <= LIMITS.folder
    except OSError:
        return 0
    return folder.f_files - folder.f_ffree if own else 0
