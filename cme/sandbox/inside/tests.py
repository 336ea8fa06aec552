"""The process in which the tests of a program run. The program is in another process, which answers the calls.

The tests come from a dataset, so this process is in a sandbox too. Its verdict goes to CME through a file descriptor that the
process of the program does not have.
"""

import builtins
import errno
import json
import os
import sys
from typing import Any, NoReturn

from cme.sandbox.inside.limits import set_limits
from cme.sandbox.inside.wire import WireError, decode, encode, read_message, write_message

__all__ = ["main"]

_FORWARDED = (
    "__bool__",
    "__getitem__",
    "__iter__",
    "__len__",
    "__next__",
    "__repr__",
    "__reversed__",
    "__setitem__",
    "__str__",
)
"""What an object of the program may answer itself. Comparisons and arithmetic are not among them, because an object that equals
everything or is close to every number would pass any test."""


_REFUSALS = frozenset(
    {
        errno.EPERM,
        errno.EACCES,
        errno.EROFS,
        errno.EAGAIN,
        errno.EFBIG,
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EMFILE,
        errno.ENFILE,
    }
)
"""Numbers of errors by which the system refuses a call: no permission, no new process, or a limit on files."""


class _VerdictError(Exception):
    """The outcome is known."""

    def __init__(self, status: str, detail: str = "") -> None:
        super().__init__(status)
        self.status, self.detail = status, detail


class _Program:
    """The process of the program, as seen from the tests."""

    def __init__(self, requests: int, answers: int, verdict: int) -> None:
        self._requests, self._answers = open(requests, "wb"), open(answers, "rb")  # noqa: SIM115 (open to the end)
        self._verdict, self._objects = verdict, dict[int, _Remote]()

    def wait(self) -> None:
        """Wait until the process of the program has started."""
        if self._read() != "ready":
            self.end("start", "the process of the program did not start")

    def ask(self, action: str, *arguments: Any) -> Any:
        """Send a request and return the answer, or raise the error that the program raised.

        A test could catch an exception. So an outcome that no test may change ends this process at once.
        """
        try:
            write_message(self._requests, [action, *arguments])
        except BrokenPipeError:
            self.end("exited")
        answer = self._read()
        try:
            kind, *content = answer
            if kind == "value":
                return decode(content[0], self._object)
            classes, text, number = content
            raised = _raised(classes, str(text), number)
        except (WireError, TypeError, ValueError) as error:
            self.end("error", str(error))
        if isinstance(raised, _VerdictError):
            self.end(raised.status, raised.detail)
        raise raised

    def call(self, action: str, number: int, arguments: Any, named: Any) -> Any:
        """Call an object of the program with values, which travel as copies."""
        return self.ask(action, number, encode(arguments, _own_number), encode(named, _own_number))

    def end(self, status: str, detail: str = "") -> NoReturn:
        """Send the verdict and end this process."""
        # A test cannot change it, because this process has no buffered verdict and ends without running anything.
        os.write(self._verdict, json.dumps({"status": status, "detail": detail[:400]}).encode() + b"\n")
        os._exit(0)

    def started(self) -> None:
        """Say that the program is about to run, so that its time is counted."""
        os.write(self._verdict, b'{"status": "started"}\n')

    def _object(self, number: int) -> "_Remote":
        return self._objects.setdefault(number, _Remote(self, number))

    def _read(self) -> Any:
        try:
            return read_message(self._answers)
        except EOFError:
            self.end("exited")
        except WireError as error:
            self.end("error", str(error))


class _Remote:
    """An object that stays in the process of the program."""

    __slots__ = ("_cme_number", "_cme_program")

    def __init__(self, program: _Program, number: int) -> None:
        object.__setattr__(self, "_cme_program", program)
        object.__setattr__(self, "_cme_number", number)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self._cme_program.call("call", self._cme_number, arguments, named)

    def __getattr__(self, name: str) -> Any:
        return self._cme_program.call("getattr", self._cme_number, (name,), {})

    def __setattr__(self, name: str, value: Any) -> None:
        self._cme_program.call("setattr", self._cme_number, (name, value), {})


def _forwarded(name: str) -> Any:
    def method(self: Any, *arguments: Any) -> Any:
        return self._cme_program.call(name, self._cme_number, arguments, {})

    return method


def _own_number(value: Any) -> int:
    if isinstance(value, _Remote):
        return int(value._cme_number)
    raise TypeError(f"a test passes a value of type {type(value).__name__}, which cannot be sent to the program")


def _raised(classes: Any, text: str, number: Any) -> Exception:
    """Return the exception that the tests see for an error of the program."""
    names = [name for name in classes if isinstance(name, str)]
    if "MemoryError" in names:
        return _VerdictError("memory", text)
    if "Exception" not in names:
        # SystemExit, KeyboardInterrupt and the like end a program.
        return _VerdictError("exited", text)
    for name in names:
        kind = getattr(builtins, name, None)
        if isinstance(kind, type) and issubclass(kind, Exception) and kind is not ExceptionGroup:
            error = kind.__new__(kind)
            error.args = (text,)
            error.__dict__["cme_text"] = text
            if isinstance(error, OSError) and isinstance(number, int):
                error.errno = number
            return error
    return RuntimeError(text)


def _outcome(error: BaseException) -> tuple[str, str]:
    """Return the outcome of an exception that ends the tests."""
    remote = getattr(error, "cme_text", None)
    text = remote or f"{type(error).__name__}: {error}"
    if isinstance(error, AssertionError):
        return "failed", remote or str(error)
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return "memory", text
    if isinstance(error, OSError) and error.errno in _REFUSALS:
        return "blocked", text
    return "error", text


def _run(program: _Program, task: dict[str, Any]) -> None:
    """Run the program and its tests. Return if it passes."""
    program.ask("run", task["source"])
    space: dict[str, Any] = {"__name__": "tests"}
    if task["setup"]:
        exec(compile(task["setup"], "<setup>", "exec", dont_inherit=True), space)
    for name in task["names"]:
        try:
            space[name] = program.ask("name", name)
        except KeyError:
            raise NameError(f"the program does not define {name}") from None
    exec(compile(task["tests"], "<tests>", "exec", dont_inherit=True), space)


def main(requests: int, answers: int, limits: tuple[int, int, int, int]) -> None:
    """Run the tests of the task on standard input, and write the verdict to standard output.

    Args:
        requests: file descriptor of requests to the program.
        answers: file descriptor of its answers.
        limits: see `set_limits`.
    """
    for name in _FORWARDED:
        setattr(_Remote, name, _forwarded(name))
    task = json.load(sys.stdin)
    verdict, nothing = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    program = _Program(requests, answers, verdict)
    program.wait()
    set_limits(*limits)
    program.started()
    try:
        _run(program, task)
    except BaseException as error:
        program.end(*_outcome(error))
    program.end("passed")
