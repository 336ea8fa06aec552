"""What the operating system knows about this machine and process, in one place.

Linux answers all of it. Where another system, such as macOS, does not, every function here has an answer of its own, so no
other module calls a function or reads a file that only Linux has.
"""

import os
import platform
import sys
from pathlib import Path

__all__ = ["peak_memory", "process_start", "processor_flags", "processor_name", "usable_processors"]

_CPUINFO = Path("/proc/cpuinfo")


def usable_processors() -> int:
    """Return the number of processors that this process may use, or all processors if there is no restriction."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


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


def process_start(pid: int | None = None) -> int:
    """Return when a process started, in clock ticks since the machine did; 0 where the system does not say.

    Args:
        pid: number of the process; None is this process.
    """
    try:
        text = Path(f"/proc/{pid or os.getpid()}/stat").read_text(encoding="utf-8", errors="replace")
        return int(text.rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0


def _cpuinfo() -> str:
    try:
        return _CPUINFO.read_text(encoding="utf-8")
    except OSError:
        return ""
