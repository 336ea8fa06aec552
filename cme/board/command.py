"""Runs the command of one step on this machine, and records what it took."""

import contextlib
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cme.errors import CMEError
from cme.files import cannot_write, write_json
from cme.machine import death_signal, processor_name

__all__ = ["InterruptedStepError", "Job", "Outcome", "StepCommand", "shell_line", "work_on"]

_TAIL = 20_000
_POLL = 0.1
_PATIENCE = 30.0
"""Seconds that an interrupted command has to end."""


class InterruptedStepError(Exception):
    """The command of a step was killed. Running it again continues its work."""


@dataclass(frozen=True)
class StepCommand:
    """Everything that a machine needs to know to run a step.

    Attributes:
        name: name of the step.
        argv: the command without ``cme``.
        folder: current folder of the command.
        log: file for its messages.
        record: file for what it took.
        env: environment variables that the command gets in addition.
        processes: number of processes, one per GPU.
        inputs: fingerprint of what the step reads, for the record; empty if the output itself tells.
    """

    name: str
    argv: tuple[str, ...]
    folder: str
    log: str
    record: str
    env: Mapping[str, str]
    processes: int = 1
    inputs: str = ""


@dataclass(frozen=True)
class Outcome:
    """How a command ended.

    Attributes:
        name: name of the step.
        code: exit code; negative if a signal ended it.
        seconds: duration.
        message: its error message, or an empty text.
    """

    name: str
    code: int
    seconds: float
    message: str = ""

    @property
    def interrupted(self) -> bool:
        """Whether the command was killed or interrupted, so that it can be run again."""
        return self.code < 0 or self.code in (128 + signal.SIGINT, 128 + signal.SIGTERM, 128 + signal.SIGKILL)


class Job:
    """A running command. It dies with this process.

    Args:
        command: the command.

    Raises:
        CMEError: the log cannot be written.
    """

    def __init__(self, command: StepCommand) -> None:
        self.command = command
        self._started, self._since = time.monotonic(), datetime.now(UTC).isoformat(timespec="seconds")
        log = Path(command.log)
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("ab") as file:
                file.write(f"$ {shell_line(command.argv)}\n".encode())
                file.flush()
                self._start = file.tell()
                self._process = subprocess.Popen(
                    _program(command),
                    cwd=command.folder,
                    env={**os.environ, **command.env},
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=file,
                    start_new_session=True,
                    preexec_fn=_die_with_parent(),
                )
        except OSError as error:
            raise cannot_write(log, error) from error

    @property
    def pid(self) -> int:
        """Process id of the command."""
        return self._process.pid

    def ended(self) -> Outcome | None:
        """Return how the command ended, after recording it, or None while it runs."""
        code = self._process.poll()
        if code is None:
            return None
        outcome = Outcome(self.command.name, code, time.monotonic() - self._started, self._message() if code else "")
        with contextlib.suppress(CMEError):
            # A full disk must not hide how the command ended.
            self._record(outcome)
        return outcome

    def interrupt(self) -> None:
        """Ask the command to end, as Ctrl-C does."""
        self._signal(signal.SIGINT)

    def kill(self) -> None:
        """Kill the command at once."""
        self._signal(signal.SIGKILL)

    def close(self) -> None:
        """Wait until the interrupted command ends, and kill it if it takes too long."""
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _message(self) -> str:
        """Return the error message at the end of the log."""
        with Path(self.command.log).open("rb") as file:
            file.seek(max(self._start, file.seek(0, os.SEEK_END) - _TAIL))
            lines = file.read().decode("utf-8", "replace").rstrip().splitlines()
        own = [number for number, line in enumerate(lines) if line.startswith("cme: ") and ": warning: " not in line]
        if own:
            return "\n".join(lines[own[-1] :]).removeprefix("cme: ")
        return lines[-1] if lines else ""

    def _record(self, outcome: Outcome) -> None:
        command = self.command
        values: dict[str, Any] = {
            "step": command.name,
            "command": shell_line(command.argv),
            "host": socket.gethostname(),
            "hardware": processor_name(),
            "started": self._since,
            "seconds": round(outcome.seconds, 3),
            "code": outcome.code,
        }
        write_json(
            Path(command.record), values | ({"inputs": command.inputs} if command.inputs and not outcome.code else {})
        )


def work_on(command: StepCommand) -> Outcome:
    """Run the command of a step to its end, in a worker of a cluster.

    If the process that started the worker is gone, the node counts as lost, and another one runs the step again. The command is
    then killed, because two must not write into one folder.

    Args:
        command: the command.

    Returns:
        How it ended.

    Raises:
        InterruptedStepError: it was killed, so that it should be run again.
    """
    parent, job = os.getppid(), Job(command)
    try:
        while (outcome := job.ended()) is None:
            time.sleep(_POLL)
            if os.getppid() != parent:
                job.kill()
                raise InterruptedStepError(f"the node that ran {command.name} is lost")
    except BaseException:
        job.interrupt()
        job.close()
        raise
    if outcome.interrupted:
        raise InterruptedStepError(f"{command.name} was interrupted (exit code {outcome.code})")
    return outcome


def shell_line(argv: Sequence[str]) -> str:
    """Return a command as one would type it."""
    return shlex.join(["cme", *argv])


def _program(command: StepCommand) -> list[str]:
    start = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(command.processes)]
    return [sys.executable, *(start if command.processes > 1 else ()), "-m", "cme", *command.argv]


def _die_with_parent() -> Callable[[], None] | None:
    """Return a function for the child that lets the kernel kill it when its parent ends for any reason (Linux)."""
    ask = death_signal()
    if ask is None:
        return None
    parent = os.getpid()

    def arrange() -> None:
        ask()
        if os.getppid() != parent:
            os._exit(1)

    return arrange
