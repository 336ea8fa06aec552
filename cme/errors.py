"""Errors that are the user's or the world's, not ours: shown in one message, without a traceback.

A message says what is wrong, the offending value, and what to do. Everything else keeps its traceback.
"""

import difflib
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

__all__ = [
    "AdapterError",
    "CMEError",
    "CMEWarning",
    "DataError",
    "DivergedError",
    "MissingExtraError",
    "NotFiniteError",
    "RecoverableError",
    "SourceError",
    "UsageError",
    "nearest",
    "outdated_calls_ignored",
    "unknown",
]


class CMEError(Exception):
    """Base class. ``exit_code`` is what the command line exits with."""

    exit_code = 1


class CMEWarning(UserWarning):
    """Something is wrong that stops nothing, such as a plug-in that cannot be imported."""


class UsageError(CMEError):
    """The command or a configuration asks for something that does not exist or does not fit."""

    exit_code = 2


class DataError(CMEError):
    """A data file does not hold what its dataset promises."""


class SourceError(CMEError):
    """A source (hub, mirror folder, base model) cannot be reached or lacks something."""


class DivergedError(CMEError):
    """Training came to a loss that nothing can be learnt from; another learning rate may do."""


class NotFiniteError(CMEError):
    """A model computes NaN or infinity."""


class MissingExtraError(CMEError):
    """A package is not installed that an optional extra brings."""


class AdapterError(CMEError):
    """A folder is no adapter, or the adapter does not fit the base model."""


class RecoverableError(CMEError):
    """An error after which the work goes on in another way; several processes then do so together."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that looks most like ``name``, or None if none does."""
    found = difflib.get_close_matches(name.lower(), list(known), n=1, cutoff=0.5)
    return found[0] if found else None


def unknown(kind: str, name: str, known: Iterable[str]) -> UsageError:
    """Build the error for a name that does not exist, with the nearest one that does.

    Args:
        kind: what the name stands for, such as ``"dataset"``.
        name: the name as given.
        known: the names that exist.
    """
    known = sorted(known)
    hint = nearest(name, known)
    offer = f"Did you mean {hint!r}? " if hint else ""
    return UsageError(f"unknown {kind} {name!r}. {offer}Known: {', '.join(known)}.")


@contextmanager
def outdated_calls_ignored() -> Iterator[None]:
    """Ignore the one warning about calls between libraries that a user cannot change.

    peft 0.21 asks transformers 5.23 for an attribute that has a new name.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
        yield
