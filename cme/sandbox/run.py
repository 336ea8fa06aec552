"""Runs many programs at once, each with its tests."""

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from cme.cgroup import free_memory
from cme.errors import CMEError, UsageError, unknown
from cme.machine import usable_processors
from cme.sandbox.process import MOST_MEMORY, Isolation, run_program
from cme.sandbox.programs import Outcome, Program
from cme.sandbox.seccomp import ARCHITECTURES, seccomp_filter

__all__ = ["RUN_CODE", "open_isolation", "run_programs"]

RUN_CODE = ("sandboxed", "unsandboxed")
"""How code of a model may run: in bubblewrap, or with limits on resources only."""

_PROBE = Program("def probe(number):\n    return number + 1\n", "assert probe(1) == 2\n", ("probe",))
_WAY_OUT = (
    "Or set --run-code=unsandboxed: the code then runs with your rights, with limits on its time and memory only."
)
_LATER = (
    "Debian 12 and Ubuntu 24.04 have a later one. On an older system, install it with conda (conda install -c conda-forge "
    "bubblewrap), or run CME in a container with one of these systems."
)
_NAMESPACES = (
    "It needs user namespaces. A container must allow them, and on Ubuntu 24.04 AppArmor forbids them unless bwrap has a "
    "profile. docs/code.md says what to set in each case."
)


def open_isolation(mode: str) -> Isolation:
    """Check that programs can run here, and return how.

    Args:
        mode: one of `RUN_CODE`.

    Raises:
        UsageError: the mode is unknown, or bubblewrap is missing, too old, or not allowed to make a sandbox.
    """
    if mode not in RUN_CODE:
        raise unknown("way to run code", mode, RUN_CODE)
    if not sys.platform.startswith("linux"):
        raise UsageError(
            "running the code of a model requires Linux. Leave out --run-code: its datasets are then skipped."
        )
    if mode == "unsandboxed":
        return Isolation(None)
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        raise UsageError(
            "running the code of a model requires bubblewrap, and there is no bwrap. Install it (Debian, Ubuntu: apt install "
            f"bubblewrap). {_WAY_OUT}"
        )
    if seccomp_filter() is None:
        raise UsageError(f"the sandbox requires one of the processors {', '.join(ARCHITECTURES)}. {_WAY_OUT}")
    version = subprocess.run([bwrap, "--version"], capture_output=True, text=True, check=False).stdout.split()[-1:]
    if not _recent(version[0] if version else ""):
        raise UsageError(
            f"the sandbox requires bubblewrap 0.8 or later, but {bwrap} has version {' '.join(version) or 'unknown'}. {_LATER} "
            f"{_WAY_OUT}"
        )
    isolation = Isolation(bwrap)
    try:
        outcome = run_program(_PROBE, isolation, threading.Event())
    except CMEError as error:
        raise UsageError(f"bubblewrap cannot make a sandbox: {error} {_NAMESPACES} {_WAY_OUT}") from None
    if not outcome.passed:
        raise UsageError(
            f"a correct program does not pass in the sandbox: {outcome.detail or outcome.status}. {_WAY_OUT}"
        )
    return isolation


def _recent(version: str) -> bool:
    numbers = version.split(".")
    return (
        len(numbers) > 1 and all(number.isdigit() for number in numbers[:2]) and tuple(map(int, numbers[:2])) >= (0, 8)
    )


def _workers() -> int:
    """Return how many programs can run at once, so that none waits for a processor and the system kills none for its memory."""
    number, free = usable_processors(), free_memory()
    return number if free is None else max(1, min(number, free // MOST_MEMORY))


def run_programs(
    programs: Sequence[Program],
    isolation: Isolation,
    done: Callable[[int, Outcome], None] = lambda number, outcome: None,
    *,
    workers: int | None = None,
) -> list[Outcome]:
    """Run programs and their tests in parallel.

    Args:
        programs: the programs.
        isolation: from `open_isolation`.
        done: function that is called in this thread with the number of each finished program and its outcome.
        workers: number of programs that run at the same time. None means one for each processor that this
            process may use, but at most as many as the free memory allows.

    Returns:
        The outcomes in the order of the programs.

    Raises:
        CMEError: a process cannot be started.
    """
    stop = threading.Event()
    outcomes: dict[int, Outcome] = {}
    pool = ThreadPoolExecutor(workers or _workers())
    try:
        waiting = {
            pool.submit(run_program, program, isolation, stop): number for number, program in enumerate(programs)
        }
        for future in as_completed(waiting):
            number = waiting[future]
            outcomes[number] = future.result()
            done(number, outcomes[number])
    except OSError as error:
        raise CMEError(
            f"cannot start a process: {error.strerror or error}. Close other programs and run it again."
        ) from error
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)
    return [outcomes[number] for number in range(len(programs))]
