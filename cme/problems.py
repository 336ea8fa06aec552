"""Turns pydantic's errors into CME's messages, one line each."""

import inspect
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from cme.errors import nearest

__all__ = ["MissingHint", "expected", "problems", "shown", "stripped", "whole_problem"]

_WHOLE = "whole"
"""Type of an error about several fields. Its message names the fields itself."""

_MOST_SHOWN = 200
"""Maximum number of characters of a value in a message."""


@dataclass(frozen=True)
class MissingHint:
    """Message for a missing required field.

    Attributes:
        text: text that follows the name of the field.
    """

    text: str


def whole_problem(text: str) -> PydanticCustomError:
    """Make an error about several fields for a validator to raise. No field name is put before its message."""
    return PydanticCustomError(_WHOLE, "{text}", {"text": text})


def problems(error: ValidationError, hint: object) -> list[str]:
    """Turn a `ValidationError` into CME's messages.

    Args:
        error: the error that pydantic raised.
        hint: the class or type that was validated.

    Returns:
        One line per problem, in the order of the fields. Unknown keys come last.
    """
    lines: dict[tuple[str, ...], list[_Problem]] = {}
    for details in error.errors(include_url=False, include_context=True):
        place = _walk(hint, details["loc"])
        problem = _Problem(place, details["type"], details["input"], details.get("ctx", {}), details["msg"])
        lines.setdefault(tuple(place.union or place.path) + (("",) if place.union is None else ()), []).append(problem)
    return [line for group in lines.values() for line in _group(group)]


@dataclass(frozen=True)
class _Place:
    """Location of an error.

    Attributes:
        path: names of the fields, keys and items that lead to it.
        hint: the expected type.
        owner: the class that has the field, or None if the last step is an item or a key.
        metadata: annotations of the field.
        union: path of the first union on the way.
        options: the union.
        inside: whether the error is deeper than the union.
    """

    path: list[str]
    hint: object
    owner: object = None
    metadata: tuple[object, ...] = ()
    union: list[str] | None = None
    options: object = None
    inside: bool = False


@dataclass(frozen=True)
class _Problem:
    place: _Place
    kind: str
    value: object
    context: dict[str, Any]
    text: str


def _walk(hint: object, steps: Sequence[int | str]) -> _Place:
    """Follow the location of an error through the types."""
    path: list[str] = []
    owner: object = None
    metadata: tuple[object, ...] = ()
    union: list[str] | None = None
    options: object = None
    inside = False
    keys: object = Any
    for place, step in enumerate(steps):
        plain, _ = stripped(hint)
        choices = [option for option in _options(plain) if option is not type(None)]
        if len(choices) > 1:
            chosen = _chosen(choices, str(step))
            if union is None:
                union, options, inside = list(path), plain, place + 1 < len(steps)
            hint = chosen
            continue
        (plain, _) = stripped(choices[0]) if choices else (plain, ())
        if step == "[key]":
            path[-1], hint = f"key {path[-1]}", keys
            continue
        known = _fields(plain)
        owner, metadata = None, ()
        if known is not None:
            owner = plain
            path.append(str(step))
            if step in known:
                hint, metadata = known[str(step)].annotation, tuple(known[str(step)].metadata)
        elif get_origin(plain) in (tuple, list) and isinstance(step, int):
            path.append(f"item {step + 1}")
            inner = get_args(plain)
            hint = inner[step] if step < len(inner) and ... not in inner and get_origin(plain) is tuple else inner[0]
        elif get_origin(plain) in (dict, Mapping):
            path.append(repr(step))
            keys, hint = get_args(plain)
        else:
            path.append(str(step))
            hint = Any
    return _Place(path, hint, owner, metadata, union, options, inside)


def _chosen(options: Sequence[object], label: str) -> object:
    """Return the member of a union that has this label in pydantic's errors."""
    for option in options:
        plain, _ = stripped(option)
        origin = get_origin(plain) or plain
        name = "literal" if origin is Literal else getattr(origin, "__name__", str(origin))
        if label == name or label.startswith(f"{name}[") or f"{name}[" in label:
            return option
    return options[0]


def _group(group: list[_Problem]) -> list[str]:
    """Return the lines of the errors at one location. A union gets one line in place of one per type."""
    first = group[0]
    if first.place.union is None:
        return [_line(problem) for problem in group]
    deeper = [problem for problem in group if problem.place.inside]
    own = [problem for problem in group if not problem.place.inside]
    refused = [problem for problem in own if problem.kind in ("value_error", _WHOLE)]
    if deeper and (not own or isinstance(own[0].value, list | tuple | dict)):
        return [_line(deeper[0])]
    if refused:
        return [_line(refused[0])]
    return [f"{_prefix(first.place.union)}expected {expected(first.place.options)}, found {shown(own[0].value)}"]


def _line(problem: _Problem) -> str:
    place = problem.place
    path, name = place.path[:-1], place.path[-1] if place.path else ""
    if problem.kind == "extra_forbidden" or problem.kind == "unexpected_keyword_argument":
        return f"{_prefix(path)}unknown key {shown(name)}{_offer(name, _fields(place.owner) or {})}"
    if problem.kind in ("missing", "missing_argument", "missing_keyword_only_argument"):
        hint = next((item.text for item in place.metadata if isinstance(item, MissingHint)), None)
        return f"{_prefix(place.path)}{hint}" if hint else f"{_prefix(path)}missing key {name!r}"
    if problem.kind == _WHOLE:
        return f"{_prefix(path)}{problem.context['text']}"
    if problem.kind == "value_error":
        return f"{_prefix(place.path)}{problem.context['error']}"
    if problem.kind in ("greater_than", "greater_than_equal", "less_than", "less_than_equal"):
        return f"{_prefix(place.path)}must be {_range(place, problem)}, found {shown(problem.value)}"
    if problem.kind == "finite_number":
        limits = _range(place, problem)
        return f"{_prefix(place.path)}must be {limits or 'a finite number'}, found {problem.value}"
    if problem.kind == "unexpected_positional_argument":
        return f"{shown(problem.value)} is one positional argument too many"
    if _fits_type(problem):
        return f"{_prefix(place.path)}{problem.text[0].lower()}{problem.text[1:]}, found {shown(problem.value)}"
    return f"{_prefix(place.path)}expected {expected(place.hint)}, found {shown(problem.value)}"


def _fits_type(problem: _Problem) -> bool:
    """Return whether pydantic's own text describes the problem well, as for a minimum length."""
    return problem.kind.endswith(("_short", "_long", "_mismatch", "multiple_of", "_parsing"))


def _range(place: _Place, problem: _Problem) -> str:
    """Describe the limits of a number in words, such as ``at least 0 and below 1``."""
    words = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
    limits: dict[str, object] = {}
    for item in (*place.metadata, *stripped(place.hint)[1], *_constraints(place.hint)):
        for key in words:
            for source in (item, *(getattr(item, "metadata", None) or ())):
                if (value := getattr(source, key, None)) is not None:
                    limits.setdefault(key, value)
    limits = limits or {key: value for key, value in problem.context.items() if key in words}
    return " and ".join(f"{words[key]} {limits[key]}" for key in words if key in limits)


def _constraints(hint: object) -> Iterator[object]:
    """Yield the annotations of the members of a union."""
    for option in _options(stripped(hint)[0]):
        yield from stripped(option)[1]


def _offer(name: str, known: Mapping[str, object]) -> str:
    hint = nearest(name, known)
    return f" (did you mean {hint!r}?)" if hint else f" (known: {', '.join(known)})"


def _prefix(path: Sequence[str]) -> str:
    return "".join(f"{step}: " for step in path)


def shown(value: object) -> str:
    """Format a value for a message with ``repr``. Long values are truncated."""
    text = repr(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"


def _fields(hint: object) -> Mapping[str, FieldInfo] | None:
    """Return the fields of a settings class by name, those of a model by their keys in files, or None for other types."""
    if inspect.isclass(hint) and issubclass(hint, BaseModel):
        return {str(field.validation_alias or name): field for name, field in hint.model_fields.items()}
    if inspect.isclass(hint) and is_dataclass(hint):
        return getattr(hint, "__pydantic_fields__", None)
    return None


def stripped(hint: object) -> tuple[Any, tuple[object, ...]]:
    """Split an annotated type into the plain type and its annotations."""
    if get_origin(hint) is Annotated:
        plain, *metadata = get_args(hint)
        return plain, tuple(metadata)
    return hint, ()


def _options(hint: object) -> tuple[object, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def expected(hint: object) -> str:
    """Describe a type for a message: ``int or nothing``, ``a list``, ``one of 'squad', 'unicode'``."""
    plain = stripped(hint)[0]
    if len(options := _options(plain)) > 1:
        return " or ".join(expected(option) for option in options)
    if get_origin(plain) is Literal:
        return f"one of {', '.join(map(repr, get_args(plain)))}"
    if plain is type(None) or plain is None:
        return "nothing"
    if _fields(plain) is not None:
        return "a mapping"
    names = {tuple: "a list", list: "a list", dict: "a mapping", Mapping: "a mapping"}
    return names.get(get_origin(plain) or plain, getattr(plain, "__name__", str(plain)))
