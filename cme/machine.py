"""What the operating system knows about this machine and process, in one place.

Linux answers all of it. Where another system, such as macOS, does not, every function here has an answer of its own, so no
other module calls a function or reads a file that only Linux has.
"""

import ctypes
import functools
import hashlib
import os
import platform
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from cme.cgroup import processor_quota

__all__ = [
    "death_signal",
    "is_zombie",
    "machine_id",
    "peak_memory",
    "process_start",
    "processor_flags",
    "processor_name",
    "usable_processors",
]

_PR_SET_PDEATHSIG = 1
_CPUINFO = Path("/proc/cpuinfo")


def usable_processors() -> int:
    """Return the number of whole processors that this process may use, or all processors if there is no restriction.

    A process can be bound to some processors, and a container can have a quota of their time.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    number, quota = len(affinity(0)) if affinity else os.cpu_count() or 1, processor_quota()
    return number if quota is None else max(1, min(number, int(quota)))


def processor_name() -> str:
    """Return the processor's name, or its architecture where the system does not give a name."""
    names = (line.split(":", 1)[1].strip() for line in _cpuinfo().splitlines() if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


def processor_flags() -> frozenset[str]:
    """Return the processor's instruction sets as Linux names them (``avx512_bf16``, say); none where that is unknown."""
    return frozenset(_cpuinfo().split())


def peak_memory() -> int:
    """Return the most resident memory that this process has used, in bytes; 0 where the system does not measure it."""
    try:
        import resource
    except ImportError:
        return 0
    # Linux counts in KiB, macOS in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def death_signal() -> Callable[[], None] | None:
    """Return a function that asks the kernel to kill the process that calls it when its parent ends for any reason.

    None where the system does not offer this (all but Linux). The function can be called between fork and exec.
    """
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    return ask


@functools.cache
def machine_id() -> str:
    """Return the identity of this start of the machine and of the set of process ids that this process sees.

    Two containers on one machine have different sets, so that the ids of one mean nothing in the other.
    """
    parts = [socket.gethostname()]
    try:
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    except (OSError, ValueError):
        pass
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def process_start(pid: int | None = None) -> int:
    """Return when a process started, in clock ticks since the machine did; 0 where the system does not say.

    Args:
        pid: number of the process; None is this process.
    """
    try:
        return int(_stat(pid or os.getpid())[19])
    except (OSError, ValueError, IndexError):
        return 0


def is_zombie(pid: int) -> bool:
    """Return whether a process has ended, but is still in the list of processes because its parent has not asked for its end.

    In a container whose first process asks for nothing, orphans stay there forever.
    """
    try:
        return _stat(pid)[0] in ("Z", "X")
    except (OSError, IndexError):
        return False


def _stat(pid: int) -> list[str]:
    """Return what Linux says about a process after its name: the state, and further numbers."""
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    return text.rpartition(")")[2].split()


def _cpuinfo() -> str:
    try:
        return _CPUINFO.read_text(encoding="utf-8")
    except OSError:
        return ""
