"""Reads JSON files."""

import json
import math
from pathlib import Path
from typing import Any

from cme.errors import CMEError
from cme.readers.bounded import has_surrogate, read_bounded
from cme.readers.limits import JSON_BYTES, JSON_DEPTH, JSON_DIGITS

__all__ = ["parse_json", "read_json"]


def read_json(path: Path, *, largest: int = JSON_BYTES, error: type[CMEError] = CMEError) -> Any:
    """Read a JSON file.

    Refused are NaN, infinity, numbers that overflow to infinity, repeated keys, lone surrogates, integers with more than
    `JSON_DIGITS` digits, and values nested deeper than `JSON_DEPTH`.

    Args:
        path: the file.
        largest: maximum number of bytes.
        error: the class of error to raise.

    Raises:
        CMEError: (or ``error``) if the file is missing, cannot be read, is too large or is not valid JSON.
    """
    data = read_bounded(path, largest, error)
    try:
        return parse_json(data)
    except ValueError as problem:
        raise error(f"{path} is not valid JSON ({problem}). Restore the file or write it again.") from problem


def parse_json(data: bytes) -> Any:
    """Parse JSON within the limits of `read_json`.

    Raises:
        ValueError: if it is not valid JSON, or exceeds a limit.
    """
    try:
        value = json.loads(
            data.decode("utf-8"),
            parse_constant=_refuse,
            parse_int=_whole_number,
            parse_float=_number,
            object_pairs_hook=_once,
        )
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    _check(value)
    return value


_TOO_DEEP = f"it is nested more than {JSON_DEPTH} deep"


def _check(value: Any) -> None:
    """Check the depth and the strings of a value without recursion."""
    level = [value]
    for depth in range(JSON_DEPTH + 1):
        inner: list[Any] = []
        nested = False
        for item in level:
            if isinstance(item, str):
                if has_surrogate(item):
                    raise ValueError(f"the text {item[:40]!a} contains a lone surrogate")
            elif isinstance(item, dict | list):
                nested = True
                inner += item
                inner += item.values() if isinstance(item, dict) else ()
        if not nested:
            return
        if depth == JSON_DEPTH:
            raise ValueError(_TOO_DEEP)
        level = inner


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a mapping and refuse repeated keys, because a reader could take the first value and a program the last."""
    values = dict(pairs)
    if len(values) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValueError(f"the key {name[:100]!a} occurs twice in one object")
            seen.add(name)
    return values


def _refuse(constant: str) -> None:
    raise ValueError(f"it contains {constant}")


def _whole_number(text: str) -> int:
    if len(text) > JSON_DIGITS:
        raise ValueError(f"it contains an integer with {len(text):,} digits; at most {JSON_DIGITS} are allowed")
    return int(text)


def _number(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"it contains {text[:40]}, which is too large for a float")
    return value
