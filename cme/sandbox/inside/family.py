"""The processes that a process has started, and those that these have started, as Linux lists them in ``/proc``."""

import os
import signal
from pathlib import Path

__all__ = ["children", "descendants", "end_descendants", "threads", "threads_of_user"]

_PROC = Path("/proc")
_MOST_ROUNDS = 100


def children(pid: int) -> list[int]:
    """Return the processes that a process has started. None if it has ended, or the kernel does not list them."""
    numbers: list[int] = []
    try:
        for task in (_PROC / str(pid) / "task").iterdir():
            numbers += map(int, (task / "children").read_text(encoding="ascii").split())
    except OSError:
        pass
    return numbers


def threads(pid: int) -> int:
    """Return the number of threads of a process, or 0 if it has ended."""
    values = _stat(pid)
    return int(values[17]) if values and values[0] not in ("Z", "X") else 0


def descendants(pid: int) -> set[int]:
    """Return all living processes below a process. All processes are read, because not every kernel lists children."""
    below: dict[int, list[int]] = {}
    for number in _numbers():
        if values := _stat(number):
            below.setdefault(int(values[1]), []).append(number)
    family, waiting = set[int](), [pid]
    while waiting:
        started = below.get(waiting.pop(), [])
        waiting += started
        family.update(number for number in started if threads(number))
    return family


def end_descendants(pid: int) -> None:
    """Kill all processes below a process. They are stopped first, because a stopped process starts no other one."""
    stopped = set[int]()
    for _ in range(_MOST_ROUNDS):
        family = descendants(pid)
        if not family:
            return
        number = signal.SIGSTOP if family - stopped else signal.SIGKILL
        stopped = family
        for process in family:
            try:
                os.kill(process, number)
            except OSError:
                continue


def threads_of_user(user: int) -> int:
    """Return the number of threads of all processes of a user."""
    total = 0
    for number in _numbers():
        try:
            if (_PROC / str(number)).stat().st_uid == user:
                total += threads(number)
        except OSError:
            continue
    return total


def _numbers() -> list[int]:
    """Return the numbers of all processes."""
    return [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]


def _stat(pid: int) -> list[str]:
    """Return the values of a process after its name, from its state on. None if it has ended."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        return text.rpartition(")")[2].split()
    except OSError:
        return []
