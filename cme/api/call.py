"""Checks the arguments of public functions. Wrong names and types are reported in one message, as on the command line."""

import functools
import inspect
import os
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, Union, get_args, get_origin

from cme.errors import UsageError, nearest, outdated_calls_ignored

__all__ = ["StrPath", "chosen_datasets", "names", "numbers", "path", "public", "some_names"]

P = ParamSpec("P")
T = TypeVar("T")

StrPath = str | os.PathLike[str]
"""A folder or file: a string, a `pathlib.Path`, or an object that a function of CME returned, such as a `Mix`."""

_OTHER_NAMES = {
    "adapters": "adapter",
    "format": "prompt_format",
    "gate": "decontamination",
    "id": "ids",
    "learning_rate": "lr",
    "learning_rates": "lr_grid",
    "load_format": "prompt_format",
    "mix": "data",
    "model_name_or_path": "base",
    "num_experts": "experts",
    "num_fewshot": "shots",
    "output_dir": "out",
    "output_path": "out",
    "paraphrase": "prompt_variants",
    "paraphrase_share": "prompt_variant_share",
    "peft": "adapter",
    "pretrained": "base",
    "r": "rank",
    "task": "datasets",
    "tasks": "datasets",
    "wording": "prompt_variant",
}
"""Names of arguments in other libraries, on the command line, or in earlier versions."""

_MAY_BE_EMPTY = frozenset({"report_to"})
"""Arguments for which an empty list means the same as None: nothing."""

_SPOKEN = {str: "text", int: "a whole number", float: "a number", bool: "True or False", type(None): "None"}


def public(function: Callable[P, T]) -> Callable[P, T]:
    """Make a function of the public API, which checks its arguments before it runs.

    Numbers may be given as text, as on the command line. Everything that is wrong with the arguments is in one message.

    Args:
        function: a function with type hints.

    Returns:
        The function with its checks.

    Raises:
        UsageError: if a call has an unknown argument (the message offers the nearest name), lacks an argument, or gives one of
            a wrong type.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> T:
        bound, problems = _bound(signature, args, kwargs)
        values: dict[str, Any] = {}
        for name, value in bound.items():
            values[name], problem = _converted(value, signature.parameters[name].annotation)
            if not problem and _must_not_be_empty(signature.parameters[name]):
                problem = _empty(values[name])
            if problem or (problem := _unusable(values[name])):
                problems.append(f"{name}: {problem}")
        if problems:
            raise UsageError(f"cme.{function.__name__}: {'; '.join(problems)}.")
        with outdated_calls_ignored():
            return function(**values)  # type: ignore[call-arg]

    return checked


def _bound(
    signature: inspect.Signature, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Return the arguments by name, and the problems with the names."""
    parameters = signature.parameters
    places = [name for name, item in parameters.items() if item.kind is not item.KEYWORD_ONLY]
    problems = []
    if len(args) > len(places):
        problems.append(
            f"{len(args)} arguments are given by position, but only {', '.join(places) or 'none'} can be; use keywords"
        )
    bound = dict(zip(places, args, strict=False))
    for name, value in kwargs.items():
        if name not in parameters:
            problems.append(f"unknown argument {name!r}{_hint(name, parameters)}")
        elif name in bound:
            problems.append(f"argument {name!r} is given twice")
        else:
            bound[name] = value
    lacking = [
        name for name, item in parameters.items() if item.default is inspect.Parameter.empty and name not in bound
    ]
    problems += [f"argument {name!r} is missing" for name in lacking]
    return bound, problems


def _hint(name: str, known: Iterable[str]) -> str:
    known = list(known)
    other = _OTHER_NAMES.get(name)
    hint = other if other in known else nearest(name, known)
    return f" (did you mean {hint!r}?)" if hint else f" (known: {', '.join(known)})"


def _converted(value: Any, hint: Any) -> tuple[Any, str | None]:
    """Convert a value to a type; return it with the problem, or with None."""
    if hint is Any:
        return value, None
    problem = f"expected {_spoken(hint)}, found {_short(value)}"
    if isinstance(value, bool) and bool not in _options(hint):
        return value, problem
    from pydantic import ValidationError

    try:
        return _adapter(hint).validate_python(value), None
    except ValidationError:
        return value, problem


@functools.cache
def _adapter(hint: Any) -> Any:
    from pydantic import ConfigDict, TypeAdapter

    return TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))


def _unusable(value: Any) -> str | None:
    """Describe why a text is not the value of any setting; None if it may be."""
    for text in value if isinstance(value, list | tuple) else (value,):
        written = os.fspath(text) if isinstance(text, str | os.PathLike) else "set"
        if not written:
            return "the text is empty; give a value, or leave the argument out"
        if "\0" in written:
            return f"{_short(written)} contains a NUL character"
    return None


def _must_not_be_empty(parameter: inspect.Parameter) -> bool:
    """Return whether an argument can be left out, and takes names or numbers as one text or as a list."""
    origins = [get_origin(option) or option for option in _options(parameter.annotation)]
    listed = str in origins and Sequence in origins and os.PathLike not in origins
    return listed and parameter.default is not inspect.Parameter.empty and parameter.name not in _MAY_BE_EMPTY


def _empty(value: Any) -> str | None:
    """Describe an empty list, which must not stand for all names or for a default; None if it has items."""
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, Sequence) or any(str(item).strip() for item in value):
        return None
    return "the list is empty; give at least one item, or leave the argument out"


def _options(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _spoken(hint: Any) -> str:
    """Describe a type in words, such as ``a path or None``."""
    words: list[str] = []
    options = _options(hint)
    for option in options:
        origin = get_origin(option) or option
        if origin is os.PathLike:
            word = "a path"
        elif origin in (Sequence, list, tuple):
            word = f"a list of {_plural(get_args(option)[0])}"
        elif origin in (Mapping, dict):
            word = "a mapping"
        elif origin is str and any((get_origin(other) or other) is os.PathLike for other in options):
            continue
        else:
            word = _SPOKEN.get(origin, getattr(origin, "__name__", str(origin)))
        words.append(word)
    return " or ".join(words)


def _plural(hint: Any) -> str:
    many = {str: "texts", int: "whole numbers", float: "numbers"}
    return many.get(hint, "paths" if hint == StrPath else "values")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def path(value: StrPath) -> Path:
    """Convert a string, a path or an object of CME to a path. ``~`` stands for the home folder."""
    return Path(value).expanduser()


def names(value: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """Convert ``"a,b"`` or ``["a", "b"]`` to ``("a", "b")``, and an empty value to None."""
    parts = value.split(",") if isinstance(value, str) else value or ()
    return tuple(name.strip() for name in parts if name.strip()) or None


def some_names(argument: str, value: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return names for a method of a result, () for None.

    Args:
        argument: name of the argument, for the message.
        value: names as a list or separated by commas.

    Raises:
        UsageError: if the list is empty. It must not stand for all names.
    """
    if problem := _empty(value):
        raise UsageError(f"{argument}: {problem}.")
    return names(value) or ()


def chosen_datasets(suite: str | None, datasets: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """Return the names of the chosen datasets or families; None for the whole CME-22.

    Args:
        suite: name of a suite, ``all``, or None.
        datasets: names of datasets or families.

    Raises:
        UsageError: if there is no such suite or dataset, or the dataset is of another suite.
    """
    from cme.suite import in_suite

    return in_suite(suite, names(datasets))


def numbers(option: str, value: int | str | Sequence[int]) -> tuple[int, ...]:
    """Convert ``4``, ``"2,4"`` or ``[2, 4]`` to a tuple of whole numbers.

    Args:
        option: name of the argument, for the message.
        value: one number, several numbers, or text.

    Raises:
        UsageError: if a text does not hold whole numbers.
    """
    if isinstance(value, int):
        return (value,)
    try:
        return tuple(int(part) for part in (value.split(",") if isinstance(value, str) else value) if str(part).strip())
    except ValueError:
        raise UsageError(f"{option} is {value!r}. Give whole numbers separated by commas, such as 2,4,8.") from None
