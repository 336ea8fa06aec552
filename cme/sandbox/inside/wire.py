"""The values that the process of the program and the process of the tests exchange, as JSON.

Only plain data travel: numbers, texts, bytes and the containers of Python. An instance of a subclass travels as its contents, so
no method that the program has overridden takes part in a comparison. All other objects stay in the process of the program, and a
number stands for them.
"""

import json
import sys
from collections import deque
from collections.abc import Callable
from typing import Any

__all__ = ["MOST_BYTES", "WireError", "decode", "encode", "read_message", "write_message"]

MOST_BYTES = 16 * 2**20
"""Most bytes of a message."""

_LARGE = 2**63

Encoded = Any
"""None, a bool, a number, a text, or a list of the name of a type and its contents."""


class WireError(Exception):
    """A message is damaged or too long, or a value cannot travel."""


def encode(value: Any, refer: Callable[[Any], int]) -> Encoded:
    """Return a value as JSON.

    Args:
        value: the value.
        refer: function that returns the number of an object that does not travel.

    Raises:
        WireError: the value contains itself or is nested too deeply.
    """
    try:
        return _encode(value, refer)
    except RecursionError:
        raise WireError("the value is nested too deeply") from None


def _encode(value: Any, refer: Callable[[Any], int]) -> Encoded:
    if value is None or value is True or value is False:
        return value
    if isinstance(value, int):
        number = int.__pos__(value)
        return number if -_LARGE < number < _LARGE else ["int", hex(number)]
    if isinstance(value, float):
        return float.__pos__(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, list):
        return ["list", [_encode(item, refer) for item in list.__iter__(value)]]
    if isinstance(value, tuple):
        return ["tuple", [_encode(item, refer) for item in tuple.__iter__(value)]]
    if isinstance(value, dict):
        return ["dict", [[_encode(key, refer), _encode(item, refer)] for key, item in dict.items(value)]]
    if isinstance(value, set):
        return ["set", [_encode(item, refer) for item in set.__iter__(value)]]
    if isinstance(value, frozenset):
        return ["frozenset", [_encode(item, refer) for item in frozenset.__iter__(value)]]
    if isinstance(value, deque):
        return ["deque", [_encode(item, refer) for item in deque.__iter__(value)]]
    return _rare(value) or ["remote", refer(value)]


def _rare(value: Any) -> Encoded:
    if isinstance(value, bytes | bytearray):
        return [("bytes" if isinstance(value, bytes) else "bytearray"), bytes(memoryview(value)).hex()]
    if isinstance(value, complex):
        return ["complex", [value.real, value.imag]]
    if isinstance(value, range):
        return ["range", [hex(value.start), hex(value.stop), hex(value.step)]]
    for name, module in (("Decimal", "decimal"), ("Fraction", "fractions")):
        # There is no such value unless the module was imported.
        if type(value) is getattr(sys.modules.get(module), name, None):
            return [name, str(value)]
    return None


def decode(value: Encoded, remote: Callable[[int], Any]) -> Any:
    """Return the value of some JSON. Nothing in it is trusted.

    Args:
        value: parsed JSON.
        remote: function that returns the object of a number.

    Raises:
        WireError: the JSON does not stand for a value.
    """
    try:
        return _decode(value, remote)
    except (RecursionError, TypeError, ValueError, ArithmeticError, IndexError, KeyError) as error:
        raise WireError(f"a message is damaged: {error}") from None


def _decode(value: Encoded, remote: Callable[[int], Any]) -> Any:
    if not isinstance(value, list):
        if isinstance(value, dict):
            raise WireError("a message is damaged")
        return value
    kind, content = value
    if kind == "remote":
        if type(content) is not int:
            raise WireError("a message is damaged")
        return remote(content)
    if kind == "dict":
        return {_decode(key, remote): _decode(item, remote) for key, item in content}
    if kind in _CONTAINERS:
        return _CONTAINERS[kind]([_decode(item, remote) for item in content])
    if kind == "Decimal":
        from decimal import Decimal

        return Decimal(content)
    if kind == "Fraction":
        from fractions import Fraction

        return Fraction(content)
    return _SCALARS[kind](content)


_CONTAINERS: dict[str, Callable[[list[Any]], Any]] = {
    "list": list,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "deque": deque,
}
_SCALARS: dict[str, Callable[[Any], Any]] = {
    "int": lambda content: int(content, 16),
    "bytes": bytes.fromhex,
    "bytearray": bytearray.fromhex,
    "complex": lambda content: complex(*content),
    "range": lambda content: range(*(int(number, 16) for number in content)),
}


def write_message(file: Any, message: Any) -> None:
    """Write a message as one line.

    Raises:
        WireError: it is too long.
    """
    line = json.dumps(message).encode()
    if len(line) > MOST_BYTES:
        raise WireError(f"the value has more than {MOST_BYTES // 2**20} MiB")
    file.write(line + b"\n")
    file.flush()


def read_message(file: Any) -> Any:
    """Read a message.

    Raises:
        EOFError: the other process has ended.
        WireError: the line is not JSON or too long.
    """
    line = file.readline(MOST_BYTES + 2)
    if not line.endswith(b"\n"):
        if len(line) > MOST_BYTES:
            raise WireError(f"the value has more than {MOST_BYTES // 2**20} MiB")
        raise EOFError
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise WireError(f"a message is damaged: {error}") from None
