"""Runs one program and its tests, each in a process of its own, and waits for the verdict."""

import json
import os
import select
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cme.errors import CMEError
from cme.sandbox import inside
from cme.sandbox.bubblewrap import PYTHON_OPTIONS, interpreter, sandbox_command
from cme.sandbox.inside.family import end_descendants
from cme.sandbox.programs import LIMITS, OUTCOMES, Outcome, Program
from cme.sandbox.seccomp import seccomp_filter
from cme.sandbox.watch import excess, most_threads

__all__ = ["MOST_MEMORY", "InterruptedRunError", "Isolation", "run_program"]

_INSIDE = Path(inside.__path__[0]).resolve()
_START_SECONDS = 60.0
"""Longest start of the processes, whose time is not the program's. It is long because the machine may be busy."""
_POLL_SECONDS = 0.1
"""Time between two looks at the processes."""
_MOST_VERDICT = 65_536
_TESTS_MEMORY = 2
"""The tests hold the answers of the program in several forms, so they get this many times its memory."""

MOST_MEMORY = (1 + _TESTS_MEMORY) * LIMITS.memory + 2 * LIMITS.folder + LIMITS.file
"""Most bytes that a program, its tests and their files can use."""


class InterruptedRunError(Exception):
    """The run was stopped before the program ended."""


class Isolation:
    """How processes are isolated.

    Args:
        bwrap: path of bubblewrap. None means no sandbox: only the limits on resources hold.
    """

    def __init__(self, bwrap: str | None) -> None:
        self.bwrap = bwrap

    @contextmanager
    def start(
        self, module: str, arguments: tuple[Any, ...], files: tuple[int, ...], **streams: Any
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Start the function ``main`` of a module of ``cme.sandbox.inside``, and kill the process at the end of the block.

        Args:
            module: name of the module.
            arguments: arguments of the function.
            files: file descriptors to inherit.
            streams: the standard streams, for `subprocess.Popen`.
        """
        with ExitStack() as stack:
            if self.bwrap is not None:
                rules = stack.enter_context(_memory_file(seccomp_filter() or b""))
                command, root, first = sandbox_command(self.bwrap, _INSIDE, rules), "/inside", ""
                files, environment, folder = (*files, rules), {}, None
            else:
                folder = stack.enter_context(
                    tempfile.TemporaryDirectory(prefix="cme-code-", ignore_cleanup_errors=True)
                )
                root = f"{folder}/.inside"
                package = Path(root) / "cme" / "sandbox"
                package.mkdir(parents=True)
                (package / "inside").symlink_to(_INSIDE)
                command, environment = [], {"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"}
                first = "from cme.sandbox.inside.supervisor import supervise; supervise(); "
            # The folder is not that of the package, whose other modules the process does not need.
            code = (
                f"import sys; sys.path.append({root!r}); {first}"
                f"from cme.sandbox.inside.{module} import main; main(*{arguments!r})"
            )
            process = subprocess.Popen(
                [*command, interpreter(), *PYTHON_OPTIONS, "-c", code],
                pass_fds=files,
                env=environment,
                cwd=folder,
                start_new_session=True,
                **streams,
            )
            try:
                yield process
            finally:
                if self.bwrap is None:
                    # A process that left the session of the program is not in its group.
                    end_descendants(process.pid)
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                for stream in (process.stdout, process.stderr):
                    if stream is not None:
                        stream.close()


@contextmanager
def _memory_file(content: bytes) -> Iterator[int]:
    file = os.memfd_create("cme", 0)
    try:
        os.write(file, content)
        os.lseek(file, 0, os.SEEK_SET)
        yield file
    finally:
        os.close(file)


class _Pipe:
    """A pipe whose ends are closed at most once."""

    def __init__(self) -> None:
        self.read, self.write = os.pipe()
        self._open = {self.read, self.write}

    def close(self, *ends: int) -> None:
        """Close some ends, or both."""
        for end in ends or (self.read, self.write):
            if end in self._open:
                self._open.discard(end)
                os.close(end)


def run_program(program: Program, isolation: Isolation, stop: threading.Event) -> Outcome:
    """Run a program and its tests.

    Args:
        program: the program.
        isolation: how the processes are isolated.
        stop: event that ends the run.

    Raises:
        InterruptedRunError: ``stop`` was set.
        CMEError: the processes do not start.
    """
    if not program.source.strip():
        return Outcome("error", "the answer has no program")
    if len(program.source) > LIMITS.source:
        return Outcome("error", f"the program has more than {LIMITS.source:,} characters")
    sandboxed = isolation.bwrap is not None
    limits = (LIMITS.seconds, LIMITS.memory, LIMITS.file, most_threads(sandboxed=sandboxed))
    tests_limits = (LIMITS.seconds, _TESTS_MEMORY * LIMITS.memory, *limits[2:])
    with ExitStack() as stack:
        requests, answers = _Pipe(), _Pipe()
        stack.callback(requests.close)
        stack.callback(answers.close)
        given = stack.enter_context(_memory_file(json.dumps(asdict(program)).encode()))
        output = stack.enter_context(_memory_file(b""))
        # The output of the program goes to memory, where the limit on the size of a file bounds it.
        worker = stack.enter_context(
            isolation.start(
                "program",
                (requests.read, answers.write, limits),
                (requests.read, answers.write),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        )
        judge = stack.enter_context(
            isolation.start(
                "tests",
                (requests.write, answers.read, tests_limits),
                (requests.write, answers.read),
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        )
        requests.close()
        answers.close()
        pids = (worker.pid, judge.pid)
        verdict, seconds = _verdict(
            judge, stop, lambda: next(filter(None, (excess(pid, sandboxed=sandboxed) for pid in pids)), "")
        )
        if verdict is None:
            return Outcome("timeout", f"the program ran longer than {LIMITS.seconds} s", seconds)
        status, detail = str(verdict.get("status")), _printable(str(verdict.get("detail", "")))
        if status == "exited":
            status, detail = _ended(worker, detail, seconds)
        if status not in OUTCOMES:
            raise _no_start(judge, worker)
        return Outcome(status, detail, seconds)


def _verdict(
    judge: subprocess.Popen[bytes], stop: threading.Event, watch: Callable[[], str]
) -> tuple[Mapping[str, Any] | None, float]:
    """Return what the tests wrote, and the seconds since the program started. None means that the time is over.

    The function ``watch`` returns what a process has too much of.
    """
    assert judge.stdout is not None
    begun, started, content = time.monotonic(), None, b""
    look = begun
    while True:
        now = time.monotonic()
        end = begun + _START_SECONDS if started is None else started + LIMITS.seconds
        if now >= end:
            return (None if started is not None else {}), now - (started or now)
        if stop.is_set():
            raise InterruptedRunError
        if now >= look:
            if problem := watch():
                return {"status": "blocked", "detail": problem}, now - (started or now)
            look = now + _POLL_SECONDS
        if not select.select([judge.stdout], [], [], min(_POLL_SECONDS, end - now))[0]:
            continue
        piece = os.read(judge.stdout.fileno(), _MOST_VERDICT)
        content += piece
        lines = content.split(b"\n")
        if started is None and len(lines) > 1 and json.loads(lines[0]).get("status") == "started":
            started = time.monotonic()
        if len(lines) > 2 or (started is None and len(lines) > 1):
            return json.loads(lines[-2]), time.monotonic() - (started or now)
        if not piece:
            # The tests ended without a verdict: the kernel killed them, or their interpreter crashed.
            seconds = now - (started or now)
            return ({} if started is None else _ended_tests(_signal(judge.wait()), seconds)), seconds


def _ended_tests(ended: int, seconds: float) -> Mapping[str, Any]:
    """Return the outcome of tests that ended without a verdict."""
    if ended == signal.SIGXCPU or (ended == signal.SIGKILL and seconds >= LIMITS.seconds / 2):
        return {"status": "timeout", "detail": f"the tests used more than {LIMITS.seconds} s of CPU time"}
    if ended == signal.SIGKILL:
        detail = "the system killed the tests (signal 9), as it does when the machine has no memory left"
        return {"status": "memory", "detail": detail}
    return {"status": "crashed", "detail": f"the process of the tests ended by signal {ended}" if ended else ""}


def _ended(worker: subprocess.Popen[bytes], detail: str, seconds: float) -> tuple[str, str]:
    """Return the outcome of a program whose process ended before its tests."""
    try:
        ended = _signal(worker.wait(1.0))
    except subprocess.TimeoutExpired:
        return "exited", detail or "the program closed its connection to the tests"
    # The kernel sends SIGKILL to a program that ignores SIGXCPU, and a program can send it to itself.
    if ended == signal.SIGXCPU or (ended == signal.SIGKILL and seconds >= LIMITS.seconds / 2):
        return "timeout", f"the program used more than {LIMITS.seconds} s of CPU time"
    if ended:
        return "crashed", f"the process of the program ended by signal {ended}"
    return "exited", detail or "the process of the program ended before its tests did"


def _signal(code: int) -> int:
    """Return the signal of an exit code, or 0. Bubblewrap adds 128 to it; Python negates it."""
    return -code if code < 0 else code - 128 if code > 128 else 0


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)[:300].strip()


def _no_start(judge: subprocess.Popen[bytes], worker: subprocess.Popen[bytes]) -> CMEError:
    worker.kill()
    judge.kill()
    assert judge.stderr is not None
    message = _printable(judge.stderr.read(_MOST_VERDICT).decode(errors="replace"))
    return CMEError(f"the processes that run code do not start on this machine: {message or 'no message'}.")
