"""One mechanism for settings, records and configuration files: pydantic 2 with CME's error messages.

Records and files are subclasses of `Model`. Settings, which Python users construct, are dataclasses made by `validated`.
`build` validates a mapping; whatever is wrong with it is reported in one message by `problems`.
"""

import functools
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass
from typing import Annotated, Any, Literal, TypeVar, Union, dataclass_transform, get_args, get_origin

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as pydantic_dataclass
from pydantic_core import PydanticCustomError

from cme.errors import CMEError, UsageError, nearest, unknown

__all__ = [
    "Items",
    "Known",
    "MissingHint",
    "Model",
    "OneOf",
    "RecipeLoader",
    "build",
    "check",
    "expected",
    "message",
    "problem_of",
    "problems",
    "validated",
    "whole_problem",
]

T = TypeVar("T")

_CONFIG = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, arbitrary_types_allowed=True)

Items = Annotated[tuple[T, ...], Strict(strict=False)]
"""A tuple that may be given as a list; its items keep their strict type."""

_WHOLE = "whole"
"""Type of an error that concerns several fields, so that its message names them itself."""

_MOST_LINES = 8
"""Problems of a file that a message in one line lists."""

_MOST_SHOWN = 200
"""Characters of a wrong value that a message shows."""


class Model(BaseModel):
    """Base class of everything that is read from or written to a file: frozen, strict, without unknown keys.

    ``True`` is not an int and ``"3"`` is not 3, but a list fits a tuple and an int fits a float. NaN and infinity are refused.
    """

    model_config = _CONFIG | ConfigDict(frozen=True)


@dataclass(frozen=True)
class MissingHint:
    """What the message says when a required field is missing.

    Attributes:
        text: follows the name of the field.
    """

    text: str


class OneOf:
    """Annotation of a text that must be one of several words.

    Args:
        words: the words, in the order in which the message lists them.
    """

    def __new__(cls, words: Sequence[str]) -> Any:
        """Make the validator that refuses every other word."""

        def check(value: str) -> str:
            if value not in words:
                raise ValueError(f"must be one of {', '.join(words)}, found {_shown(value)}")
            return value

        return AfterValidator(check)


class Known:
    """Annotation of a name that must be one of several; the message offers the nearest one.

    Args:
        kind: what the name stands for, such as ``"mixing"``.
        names: the names that exist.
    """

    def __new__(cls, kind: str, names: Iterable[str]) -> Any:
        """Make the validator that refuses every other name."""

        def check(value: str) -> str:
            if value not in names:
                raise ValueError(str(unknown(kind, value, names)).removesuffix("."))
            return value

        return AfterValidator(check)


class RecipeLoader(yaml.SafeLoader):
    """Reads ``2e-4`` as a number, as every reader of a recipe would; YAML 1.1 takes it for text."""


RecipeLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


@dataclass_transform(frozen_default=True, field_specifiers=(field, Field))
def validated(what: str) -> Callable[[type[T]], type[T]]:
    """Make a frozen dataclass whose values are validated whenever it is constructed.

    `dataclasses.replace`, `dataclasses.asdict` and positional arguments work as they do with every dataclass.

    Args:
        what: what the object is, at the start of an error message, such as ``"adapter settings"``.

    Returns:
        The decorator. Constructing the class raises `UsageError` with every unknown name, missing name, wrong type and
        value out of range.
    """

    def decorate(cls: type[T]) -> type[T]:
        made: Any = pydantic_dataclass(frozen=True, config=_CONFIG)(cls)
        construct = made.__init__

        @functools.wraps(construct)
        def init(self: Any, *args: Any, **values: Any) -> None:
            try:
                construct(self, *args, **values)
            except ValidationError as error:
                raise UsageError(message(problems(error, made), what)) from None

        made.__init__ = init
        made.__validated_init__ = construct
        return typing.cast(type[T], made)

    return decorate


def build(cls: type[T], values: object, where: str, *, error: type[CMEError] = UsageError) -> T:
    """Validate a mapping that was read from YAML, JSON or flags.

    Args:
        cls: a `Model`, or a class made by `validated`.
        values: the keys and values.
        where: what the mapping is, for the message, such as ``"recipe demo.yaml"``.
        error: the class of error to raise.

    Raises:
        UsageError: (or ``error``) unknown keys, missing keys, wrong types and values out of range, all in one message.
    """
    found = check(cls, values)
    if isinstance(found, list):
        # A settings file is a few lines long, and so is the list. What is wrong with a record goes into one line of a report.
        raise error(message(found, where) if issubclass(error, UsageError) else f"{where}: {_in_a_line(found)}.")
    return found


def check(cls: type[T], values: object) -> T | list[str]:
    """Validate a mapping.

    Args:
        cls: a `Model`, or a class made by `validated`.
        values: the keys and values.

    Returns:
        The object, or one line for each problem.
    """
    if not isinstance(values, Mapping):
        return [f"expected a mapping, found {_shown(values)}"]
    made: Any = cls
    try:
        if issubclass(cls, BaseModel):
            return cls.model_validate(dict(values), context=FROM_FILE)
        ready = made.__new__(made)
        made.__validated_init__(ready, **{str(key): value for key, value in values.items()})
        return typing.cast(T, ready)
    except ValidationError as problem:
        return problems(problem, cls)


FROM_FILE: dict[str, bool] = {"from_file": True}
"""Validation context of values that were read: a record then remembers which keys were given."""


def problem_of(value: object, hint: Any) -> str | None:
    """Say how ``value`` differs from the type ``hint``, or return None if it fits.

    Args:
        value: any value.
        hint: a type, as in an annotation. Tuples in it may be given as lists.
    """
    try:
        TypeAdapter(_lenient(hint), config=ConfigDict(strict=True, arbitrary_types_allowed=True)).validate_python(value)
    except ValidationError as error:
        return problems(error, hint)[0]
    return None


def whole_problem(text: str) -> PydanticCustomError:
    """An error, for a validator to raise, about several fields: its message stands without the name of a field."""
    return PydanticCustomError(_WHOLE, "{text}", {"text": text})


def _in_a_line(lines: Sequence[str]) -> str:
    more = f"; and {len(lines) - _MOST_LINES} more" if len(lines) > _MOST_LINES else ""
    return "; ".join(lines[:_MOST_LINES]) + more


def message(lines: Sequence[str], where: str) -> str:
    """Put the lines of `problems` under a heading.

    Args:
        lines: one for each problem.
        where: what they are about.
    """
    if len(lines) == 1:
        return f"{where}: {lines[0]}."
    return f"{where}:\n" + "\n".join(f"  {line}" for line in lines)


def problems(error: ValidationError, hint: Any) -> list[str]:
    """Turn a `ValidationError` into CME's messages.

    Args:
        error: as pydantic raised it.
        hint: the class or type that was validated.

    Returns:
        One line for each problem, in the order of the fields; unknown keys come last.
    """
    lines: dict[tuple[str, ...], list[_Problem]] = {}
    for details in error.errors(include_url=False, include_context=True):
        place = _walk(hint, details["loc"])
        problem = _Problem(place, details["type"], details["input"], details.get("ctx", {}), details["msg"])
        lines.setdefault(tuple(place.union or place.path) + (("",) if place.union is None else ()), []).append(problem)
    return [line for group in lines.values() for line in _group(group)]


@dataclass(frozen=True)
class _Place:
    """Where an error stands.

    Attributes:
        path: names of the fields, keys and items that lead there.
        hint: the type that is expected there.
        owner: the class whose field it is; None where the last step is an item or a key.
        metadata: annotations of that field.
        union: path of the first union on the way, where one of several types was expected.
        options: that union.
        inside: whether the error lies deeper than the union.
    """

    path: list[str]
    hint: Any
    owner: Any = None
    metadata: tuple[Any, ...] = ()
    union: list[str] | None = None
    options: Any = None
    inside: bool = False


@dataclass(frozen=True)
class _Problem:
    place: _Place
    kind: str
    value: Any
    context: dict[str, Any]
    text: str


def _walk(hint: Any, steps: Sequence[int | str]) -> _Place:
    """Follow an error's location through the types."""
    path: list[str] = []
    owner: Any = None
    metadata: tuple[Any, ...] = ()
    union: list[str] | None = None
    options: Any = None
    inside = False
    keys: Any = Any
    for place, step in enumerate(steps):
        plain, _ = _stripped(hint)
        choices = [option for option in _options(plain) if option is not type(None)]
        if len(choices) > 1:
            chosen = _chosen(choices, str(step))
            if union is None:
                union, options, inside = list(path), plain, place + 1 < len(steps)
            hint = chosen
            continue
        (plain, _) = _stripped(choices[0]) if choices else (plain, ())
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


def _chosen(options: Sequence[Any], label: str) -> Any:
    """The member of a union that pydantic calls by this label."""
    for option in options:
        plain, _ = _stripped(option)
        origin = get_origin(plain) or plain
        name = "literal" if origin is Literal else getattr(origin, "__name__", str(origin))
        if label == name or label.startswith(f"{name}[") or f"{name}[" in label:
            return option
    return options[0]


def _group(group: list[_Problem]) -> list[str]:
    """The lines of the errors of one place: of a union, one line instead of one for each of its types."""
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
    return [f"{_prefix(first.place.union)}expected {expected(first.place.options)}, found {_shown(own[0].value)}"]


def _line(problem: _Problem) -> str:
    place = problem.place
    path, name = place.path[:-1], place.path[-1] if place.path else ""
    if problem.kind == "extra_forbidden" or problem.kind == "unexpected_keyword_argument":
        return f"{_prefix(path)}unknown key {_shown(name)}{_offer(name, _fields(place.owner) or {})}"
    if problem.kind in ("missing", "missing_argument", "missing_keyword_only_argument"):
        hint = next((item.text for item in place.metadata if isinstance(item, MissingHint)), None)
        return f"{_prefix(place.path)}{hint}" if hint else f"{_prefix(path)}missing key {name!r}"
    if problem.kind == _WHOLE:
        return f"{_prefix(path)}{problem.context['text']}"
    if problem.kind == "value_error":
        return f"{_prefix(place.path)}{problem.context['error']}"
    if problem.kind in ("greater_than", "greater_than_equal", "less_than", "less_than_equal"):
        return f"{_prefix(place.path)}must be {_range(place, problem)}, found {_shown(problem.value)}"
    if problem.kind == "finite_number":
        limits = _range(place, problem)
        return f"{_prefix(place.path)}must be {limits or 'a finite number'}, found {problem.value}"
    if problem.kind == "unexpected_positional_argument":
        return f"{_shown(problem.value)} is one positional argument too many"
    if _fits_type(problem):
        return f"{_prefix(place.path)}{problem.text[0].lower()}{problem.text[1:]}, found {_shown(problem.value)}"
    hint = _annotated(place.hint)
    return f"{_prefix(place.path)}expected {expected(hint)}, found {_shown(problem.value)}"


def _fits_type(problem: _Problem) -> bool:
    """Whether the value has the right type and breaks a rule that pydantic words itself, such as a shortest length."""
    return problem.kind.endswith(("_short", "_long", "_mismatch", "multiple_of", "_parsing"))


def _annotated(hint: Any) -> Any:
    return _stripped(hint)[0]


def _range(place: _Place, problem: _Problem) -> str:
    """The limits of a number in words, such as ``at least 0 and below 1``."""
    words = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
    limits: dict[str, Any] = {}
    for item in (*place.metadata, *_stripped(place.hint)[1], *_constraints(place.hint)):
        for key in words:
            for source in (item, *(getattr(item, "metadata", None) or ())):
                if (value := getattr(source, key, None)) is not None:
                    limits.setdefault(key, value)
    limits = limits or {key: value for key, value in problem.context.items() if key in words}
    return " and ".join(f"{words[key]} {limits[key]}" for key in words if key in limits)


def _constraints(hint: Any) -> Iterator[Any]:
    """Annotations of the members of a union."""
    for option in _options(_stripped(hint)[0]):
        yield from _stripped(option)[1]


def _offer(name: str, known: Mapping[str, Any]) -> str:
    hint = nearest(name, known)
    return f" (did you mean {hint!r}?)" if hint else f" (known: {', '.join(known)})"


def _prefix(path: Sequence[str]) -> str:
    return "".join(f"{step}: " for step in path)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"


def _fields(hint: Any) -> Mapping[str, Any] | None:
    """The fields of a model or settings class by name; None for any other type."""
    if inspect.isclass(hint) and issubclass(hint, BaseModel):
        return hint.model_fields
    if inspect.isclass(hint) and is_dataclass(hint):
        return getattr(hint, "__pydantic_fields__", None)
    return None


def _stripped(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """A type without its annotations, and the annotations."""
    if get_origin(hint) is Annotated:
        return get_args(hint)[0], tuple(hint.__metadata__)
    return hint, ()


def _options(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _lenient(hint: Any) -> Any:
    """The same type, whose tuples may be given as lists."""
    plain, metadata = _stripped(hint)
    inner = tuple(item if item is ... else _lenient(item) for item in get_args(plain))
    origin = get_origin(plain)
    if origin is tuple:
        plain = Annotated[tuple[inner], Strict(strict=False)]  # type: ignore[valid-type]
    elif origin in (Union, types.UnionType):
        plain = Union[inner]  # noqa: UP007 (made at run time)
    elif origin in (list, dict):
        plain = origin[inner]
    for item in metadata:
        plain = Annotated[plain, item]
    return plain


def expected(hint: Any) -> str:
    """Name a type in a message: ``int or nothing``, ``a list``, ``one of 'squad', 'unicode'``."""
    plain = _stripped(hint)[0]
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
