"""One mechanism for settings, records and configuration files: pydantic 2 with CME's error messages.

Records and files are subclasses of `Model`. Settings, which Python users construct, are dataclasses made by `validated`.
`build` validates a mapping and reports all its problems in one message (`cme.problems`).
"""

import functools
import types
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import field
from typing import Annotated, Any, TypeVar, Union, dataclass_transform, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as pydantic_dataclass

from cme.errors import CMEError, UsageError, unknown
from cme.problems import problems, shown, stripped

__all__ = [
    "FROM_FILE",
    "Items",
    "Model",
    "build",
    "check",
    "known",
    "message",
    "one_of",
    "problem_of",
    "stored_as",
    "validated",
]

T = TypeVar("T")

_CONFIG = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, arbitrary_types_allowed=True)

Items = Annotated[tuple[T, ...], Strict(strict=False)]
"""A tuple that can be given as a list. Its items are validated strictly."""

FROM_FILE: dict[str, bool] = {"from_file": True}
"""Validation context of values that were read from a file. A record then remembers which keys were given."""

_MOST_LINES = 8
"""Maximum number of problems in a message of one line."""


class Model(BaseModel):
    """Base class of everything that is read from or written to a file: frozen, strict, without unknown keys.

    ``True`` is not an int and ``"3"`` is not 3, but a list fits a tuple and an int fits a float. NaN and infinity are refused.
    A field made by `stored_as` has another name in files than in Python.
    """

    model_config = _CONFIG | ConfigDict(frozen=True, validate_by_name=True, serialize_by_alias=True)


def stored_as(key: str, **options: Any) -> Any:
    """Make a field of a `Model` whose key in files differs from its Python name.

    Args:
        key: the key in files.
        options: further arguments of `pydantic.Field`, such as ``default``.
    """
    return Field(validation_alias=key, serialization_alias=key, **options)


def one_of(words: Sequence[str]) -> AfterValidator:
    """Make an annotation for a string that must be one of several words.

    Args:
        words: the words, in the order in which the message lists them.
    """

    def check(value: str) -> str:
        if value not in words:
            raise ValueError(f"must be one of {', '.join(words)}, found {shown(value)}")
        return value

    return AfterValidator(check)


def known(kind: str, names: Collection[str]) -> AfterValidator:
    """Make an annotation for a name that must be known. The message offers the nearest known name.

    Args:
        kind: what the name stands for, such as ``"mixing"``.
        names: the names that exist.
    """

    def check(value: str) -> str:
        if value not in names:
            raise ValueError(str(unknown(kind, value, names)).removesuffix("."))
        return value

    return AfterValidator(check)


@dataclass_transform(frozen_default=True, field_specifiers=(field, Field))
def validated(what: str) -> Callable[[type[T]], type[T]]:
    """Make a frozen dataclass whose values are validated whenever it is constructed.

    `dataclasses.replace`, `dataclasses.asdict` and positional arguments work as they do with every dataclass.

    Args:
        what: description of the object for the start of messages, such as ``"adapter settings"``.

    Returns:
        The decorator. Constructing the class raises `UsageError` with all unknown names, missing names, wrong types and values
        out of range.
    """

    def decorate(cls: type[T]) -> type[T]:
        decorated: Any = pydantic_dataclass(frozen=True, config=_CONFIG)(cls)
        construct = decorated.__init__

        @functools.wraps(construct)
        def init(self: Any, *args: Any, **values: Any) -> None:
            try:
                construct(self, *args, **values)
            except ValidationError as error:
                raise UsageError(message(problems(error, decorated), what)) from None

        decorated.__init__ = init
        decorated.__validated_init__ = construct
        return typing.cast(type[T], decorated)

    return decorate


def build(cls: type[T], values: object, where: str, *, error: type[CMEError] = UsageError) -> T:
    """Validate a mapping that was read from YAML, JSON or flags.

    Args:
        cls: a `Model`, or a class made by `validated`.
        values: the keys and values.
        where: description of the mapping for messages, such as ``"recipe demo.yaml"``.
        error: the class of error to raise.

    Returns:
        The object.

    Raises:
        UsageError: (or ``error``) with all unknown keys, missing keys, wrong types and values out of range in one message.
    """
    result = check(cls, values)
    if isinstance(result, list):
        # Settings files are short, so a list of problems is readable. Problems of records go into one line of a report.
        raise error(message(result, where) if issubclass(error, UsageError) else f"{where}: {_in_a_line(result)}.")
    return result


def check(cls: type[T], values: object) -> T | list[str]:
    """Validate a mapping.

    Args:
        cls: a `Model`, or a class made by `validated`.
        values: the keys and values.

    Returns:
        The object, or one line for each problem.
    """
    if not isinstance(values, Mapping):
        return [f"expected a mapping, found {shown(values)}"]
    made: Any = cls
    try:
        if issubclass(cls, BaseModel):
            return cls.model_validate(dict(values), context=FROM_FILE, by_alias=True, by_name=False)
        ready = made.__new__(made)
        made.__validated_init__(ready, **{str(key): value for key, value in values.items()})
        return typing.cast(T, ready)
    except ValidationError as problem:
        return problems(problem, cls)


def problem_of(value: object, hint: Any) -> str | None:
    """Describe how ``value`` differs from the type ``hint``, or return None if it fits.

    Args:
        value: any value.
        hint: a type, as in an annotation. Lists are accepted for tuples.
    """
    try:
        TypeAdapter(_lenient(hint), config=ConfigDict(strict=True, arbitrary_types_allowed=True)).validate_python(value)
    except ValidationError as error:
        return problems(error, hint)[0]
    return None


def _in_a_line(lines: Sequence[str]) -> str:
    more = f"; and {len(lines) - _MOST_LINES} more" if len(lines) > _MOST_LINES else ""
    return "; ".join(lines[:_MOST_LINES]) + more


def message(lines: Sequence[str], where: str) -> str:
    """Put the lines of `cme.problems.problems` under a heading.

    Args:
        lines: one line per problem.
        where: description of the object with the problems.
    """
    if len(lines) == 1:
        return f"{where}: {lines[0]}."
    return f"{where}:\n" + "\n".join(f"  {line}" for line in lines)


def _lenient(hint: Any) -> Any:
    """Return the type in a form that accepts lists for tuples."""
    plain, metadata = stripped(hint)
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
