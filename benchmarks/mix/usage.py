"""Time and memory of a command and all processes that it starts."""

import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cme.errors import CMEError

__all__ = ["Usage", "measure"]

_INTERVAL = 0.2
_PROC = Path("/proc")


@dataclass(frozen=True)
class Usage:
    """What a command took.

    Attributes:
        seconds: wall time from start to end, the start of the interpreter included.
        peak: most memory in bytes, looked up five times a second: the sum of the proportional set sizes (PSS) of all
            processes, so a page that several have counts once. Pages of mapped files count as long as they are in
            memory, though the system may drop them. 0 where there is no ``/proc``.
        own: the part of it, at its own highest, that is no file and cannot be dropped.
        output: standard output.
    """

    seconds: float
    peak: int
    own: int
    output: str


def measure(command: Sequence[str], env: Mapping[str, str] | None = None) -> Usage:
    """Run a command to its end.

    Args:
        command: the program and its arguments.
        env: environment variables to set besides the present ones.

    Raises:
        CMEError: it failed; with the last lines that it wrote to standard error.
    """
    begun = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **(env or {})}
    ) as process:
        sampler = _Sampler(process.pid)
        sampler.start()
        try:
            output, errors = process.communicate()
        finally:
            sampler.stop()
    seconds = time.perf_counter() - begun
    if process.returncode:
        said = "\n".join(errors.strip().splitlines()[-15:])
        raise CMEError(f"{' '.join(command)} ended with exit code {process.returncode}:\n{said}")
    return Usage(seconds, sampler.peak, sampler.own, output)


class _Sampler(threading.Thread):
    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.peak = self.own = 0
        self._pid = pid
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.wait(_INTERVAL):
            sizes = [_memory(pid) for pid in _tree(self._pid)]
            self.peak = max(self.peak, sum(every for every, _ in sizes))
            self.own = max(self.own, sum(own for _, own in sizes))

    def stop(self) -> None:
        self._stopped.set()
        self.join()


def _tree(pid: int) -> Iterator[int]:
    """A process and all its descendants."""
    yield pid
    for children in (_PROC / str(pid) / "task").glob("*/children"):
        try:
            found = children.read_text().split()
        except OSError:
            continue
        for child in found:
            yield from _tree(int(child))


def _memory(pid: int) -> tuple[int, int]:
    """PSS of a process in bytes, and what of it is no file; zeros if it has ended meanwhile."""
    try:
        lines = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0, 0
    sizes = {name: int(rest.split()[0]) << 10 for name, _, rest in (line.partition(":") for line in lines[1:])}
    return sizes.get("Pss", 0), sizes.get("Pss_Anon", 0) + sizes.get("Pss_Shmem", 0)
