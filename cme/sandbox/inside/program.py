"""The process in which a program runs. It answers the calls of the tests, and does not know what they expect.

Whatever the program does to this module, it can only change its own answers. The tests compare them in another process.
"""

import operator
import sys
from builtins import BaseException as AnyError
from collections.abc import Callable
from types import CodeType, ModuleType
from typing import Any

from cme.sandbox.inside.limits import set_limits
from cme.sandbox.inside.wire import WireError, decode, encode, read_message, write_message

__all__ = ["Objects", "main"]

_NAME = "program"
_MOST_CHARACTERS = 300
_DEFINITIONS = ("def ", "async def ", "class ")

_OPERATIONS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "call": lambda target, arguments, named: target(*arguments, **named),
    "getattr": lambda target, arguments, named: getattr(target, *arguments),
    "setattr": lambda target, arguments, named: setattr(target, *arguments),
    "__bool__": lambda target, arguments, named: bool(target),
    "__getitem__": lambda target, arguments, named: operator.getitem(target, *arguments),
    "__iter__": lambda target, arguments, named: iter(target),
    "__len__": lambda target, arguments, named: len(target),
    "__next__": lambda target, arguments, named: next(target),
    "__repr__": lambda target, arguments, named: repr(target),
    "__reversed__": lambda target, arguments, named: reversed(target),
    "__setitem__": lambda target, arguments, named: operator.setitem(target, *arguments),
    "__str__": lambda target, arguments, named: str(target),
}
"""What the tests can do with an object of the program."""


class Objects:
    """The objects that do not travel, by number."""

    def __init__(self) -> None:
        self._kept: list[Any] = []
        self._numbers: dict[int, int] = {}

    def refer(self, value: Any) -> int:
        """Keep an object and return its number, which is always the same."""
        number = self._numbers.setdefault(id(value), len(self._kept))
        if number == len(self._kept):
            self._kept.append(value)
        return number

    def resolve(self, number: int) -> Any:
        """Return the object of a number."""
        return self._kept[number]


class _Answers:
    """Answers the requests of the tests."""

    def __init__(self) -> None:
        self._module = ModuleType(_NAME)
        self._objects = Objects()
        sys.modules[_NAME] = self._module

    def answer(self, request: Any) -> Any:
        """Return the answer to a request: its value, or the error that the program raised."""
        try:
            return ["value", encode(self._do(request), self._objects.refer)]
        except WireError as error:
            return ["raised", ["ValueError", "Exception"], str(error), None]
        except AnyError as error:
            return ["raised", *_described(error)]

    def _do(self, request: Any) -> Any:
        action, *rest = request
        if action == "run":
            exec(_compiled(rest[0]), self._module.__dict__)
            if random := sys.modules.get("random"):
                # Equal programs have equal outcomes.
                random.seed(0)
            return None
        if action == "name":
            return self._module.__dict__[rest[0]]
        target = self._objects.resolve(rest[0])
        arguments, named = (decode(item, self._objects.resolve) for item in rest[1:])
        return _OPERATIONS[action](target, arguments, named)


def _compiled(source: str) -> CodeType:
    """Compile a program. An unfinished last definition is left out, because a generated text can end within it."""
    try:
        return compile(source, f"<{_NAME}>", "exec", dont_inherit=True)
    except SyntaxError as error:
        lines = source.split("\n")
        starts = [number for number, line in enumerate(lines) if line.startswith(_DEFINITIONS)]
        if len(starts) < 2 or error.lineno is None or error.lineno <= starts[-1]:
            raise
        return compile("\n".join(lines[: starts[-1]]), f"<{_NAME}>", "exec", dont_inherit=True)


def _described(error: BaseException) -> tuple[list[str], str, int | None]:
    """Return the names of an error's built-in classes, its text, and the error number of the system."""
    names = [kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins"]
    number = error.errno if isinstance(error, OSError) else None
    try:
        text = str(error)[:_MOST_CHARACTERS]
    except AnyError:
        text = ""
    return names, f"{type(error).__name__}: {text}" if text else type(error).__name__, number


def main(requests: int, answers: int, limits: tuple[int, int, int, int]) -> None:
    """Answer requests until the tests end.

    Args:
        requests: file descriptor to read from.
        answers: file descriptor to write to.
        limits: see `set_limits`.
    """
    own, reading, writing = _Answers(), open(requests, "rb"), open(answers, "wb")  # noqa: SIM115 (open to the end)
    set_limits(*limits)
    write_message(writing, "ready")
    while True:
        try:
            request = read_message(reading)
        except EOFError:
            return
        answer = own.answer(request)
        try:
            write_message(writing, answer)
        except WireError as error:
            write_message(writing, ["raised", ["ValueError", "Exception"], str(error), None])
        except MemoryError:
            del answer
            write_message(writing, ["raised", ["MemoryError"], "MemoryError", None])
