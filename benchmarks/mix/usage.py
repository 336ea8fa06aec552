"""Measurement of the time and memory of a command and of all processes that it starts."""

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
    """The time and memory of a command.

    Attributes:
        seconds: Wall time in seconds, including the start of the interpreter.
        peak: Peak memory in bytes, sampled five times per second. It is the sum of the proportional set sizes (PSS) of all
            processes, so a page that several processes share counts once. Pages of mapped files count while they are in memory,
            although the system can drop them. It is 0 on systems without ``/proc``.
        own: Peak memory without mapped files, in bytes.
        output: Standard output of the command.
    """

    seconds: float
    peak: int
    own: int
    output: str


def measure(command: Sequence[str], env: Mapping[str, str] | None = None) -> Usage:
    """Run a command to its end.

    Args:
        command: The program and its arguments.
        env: Additional environment variables.

    Raises:
        CMEError: The command failed. The message contains the last lines of its standard error.
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
        last = "\n".join(errors.strip().splitlines()[-15:])
        raise CMEError(f"{' '.join(command)} ended with exit code {process.returncode}:\n{last}")
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
    """Yield the ids of a process and all its descendants."""
    yield pid
    for children in (_PROC / str(pid) / "task").glob("*/children"):
        try:
            ids = children.read_text().split()
        except OSError:
            continue
        for child in ids:
            yield from _tree(int(child))


def _memory(pid: int) -> tuple[int, int]:
    """Return the PSS of a process in bytes, in total and without files. Both are 0 if the process has ended."""
    try:
        lines = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0, 0
    sizes = {name: int(rest.split()[0]) << 10 for name, _, rest in (line.partition(":") for line in lines[1:])}
    return sizes.get("Pss", 0), sizes.get("Pss_Anon", 0) + sizes.get("Pss_Shmem", 0)
