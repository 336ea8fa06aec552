"""Frozen dataclasses ⇄ plain mappings: every error of a configuration in one message, unknown keys with the nearest one."""

import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from cme.errors import CMEError, UsageError, nearest

__all__ = ["fitted", "from_mapping", "type_problem"]

T = TypeVar("T")


def from_mapping(
    cls: type[T],
    values: Mapping[str, Any],
    where: str,
    *,
    error: type[CMEError] = UsageError,
    extra: frozenset[str] = frozenset(),
) -> T:
    """Make a frozen dataclass from a mapping.

    Args:
        cls: the dataclass; its fields' types are checked (scalars, unions with None, ``tuple[X, ...]``, ``dict[str, X]``).
        values: the keys and values as read from YAML, JSON or flags. Lists become tuples where the field is a tuple.
        where: what the mapping is, for the message, such as ``"recipe demo.yaml"``.
        error: the class of error to raise.
        extra: keys that may be there and are left out.

    Raises:
        UsageError: (or ``error``) unknown keys, missing keys and wrong types, all of them in one message.
    """
    known = {field.name: field for field in fields(cls)}  # type: ignore[arg-type]
    hints = get_type_hints(cls)
    problems: list[str] = []
    ready: dict[str, Any] = {}
    for key, value in values.items():
        if key in extra:
            continue
        if key not in known:
            hint = nearest(str(key), known)
            problems.append(
                f"unknown key {key!r}" + (f" (did you mean {hint!r}?)" if hint else f" (known: {', '.join(known)})")
            )
            continue
        value = fitted(value, hints[key])
        if problem := type_problem(value, hints[key]):
            problems.append(f"{key}: {problem}")
        ready[key] = value
    for name, field in known.items():
        if name not in values and field.default is MISSING and field.default_factory is MISSING:
            problems.append(f"missing key {name!r}")
    if problems:
        raise error(f"{where}: " + "; ".join(problems) + ".")
    return cls(**ready)


def fitted(value: Any, hint: Any) -> Any:
    """Lists as tuples and whole numbers as floats, where the type ``hint`` says so, at any depth."""
    options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    for option in options:
        if isinstance(value, list) and get_origin(option) is tuple:
            return tuple(fitted(item, get_args(option)[0]) for item in value)
        if isinstance(value, dict) and get_origin(option) is dict:
            return {key: fitted(item, get_args(option)[1]) for key, item in value.items()}
    if isinstance(value, int) and not isinstance(value, bool) and float in options and int not in options:
        return float(value)
    return value


def type_problem(value: Any, hint: Any) -> str | None:
    """Say how ``value`` differs from the type ``hint``, or None if it fits."""
    if hint is Any:
        return None
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        problems = {option: type_problem(value, option) for option in get_args(hint)}
        if None in problems.values():
            return None
        # A list where a list may be has the wrong item, which says more.
        inner = (problem for option, problem in problems.items() if type(value) is get_origin(option))
        return next(inner, f"expected {_name(hint)}, found {value!r}")
    if origin is typing.Literal:
        return None if value in get_args(hint) else f"expected {_name(hint)}, found {value!r}"
    if origin in (tuple, dict):
        return _inner_problem(value, hint) if isinstance(value, origin) else f"expected {_name(hint)}, found {value!r}"
    if hint is None or hint is type(None):
        return None if value is None else f"expected nothing, found {value!r}"
    if isinstance(hint, type):
        if isinstance(value, bool) and hint is not bool:
            return f"expected {hint.__name__}, found {value!r}"
        if not isinstance(value, hint):
            return f"expected {hint.__name__}, found {value!r}"
    return None


def _inner_problem(value: Any, hint: Any) -> str | None:
    if isinstance(value, tuple):
        inner, items = get_args(hint)[0], [(f"item {number}", item) for number, item in enumerate(value, start=1)]
    else:
        inner, items = get_args(hint)[1], [(repr(key), item) for key, item in value.items()]
    problems = ((name, type_problem(item, inner)) for name, item in items)
    return next((f"{name}: {problem}" for name, problem in problems if problem), None)


def _name(hint: Any) -> str:
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(_name(option) for option in get_args(hint))
    if get_origin(hint) is typing.Literal:
        return f"one of {', '.join(map(repr, get_args(hint)))}"
    if hint is type(None):
        return "nothing"
    return {tuple: "a list", dict: "a mapping"}.get(get_origin(hint) or hint, getattr(hint, "__name__", str(hint)))
