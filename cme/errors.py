"""Errors that the user or the environment causes. They are shown as one message without a traceback.

A message states what is wrong, the value, and what to do. All other errors keep their traceback.
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
    """Base class of CME's errors. ``exit_code`` is the exit code of the command line."""

    exit_code = 1


class CMEWarning(UserWarning):
    """A problem that does not stop the work, such as a plug-in that cannot be imported."""


class UsageError(CMEError):
    """A command or configuration names something that does not exist, or has values that do not fit together."""

    exit_code = 2


class DataError(CMEError):
    """A data file does not match the definition of its dataset."""


class SourceError(CMEError):
    """A source (hub, mirror folder, base model) cannot be reached or lacks data."""


class DivergedError(CMEError):
    """Training diverged. Another learning rate may help."""


class NotFiniteError(CMEError):
    """A model computes NaN or infinity."""


class MissingExtraError(CMEError):
    """A package of an optional extra is not installed."""


class AdapterError(CMEError):
    """A folder holds no adapter, or the adapter does not fit the base model."""


class RecoverableError(CMEError):
    """An error after which all processes together continue in another way."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most similar to ``name``, or None if none is similar."""
    matches = difflib.get_close_matches(name.lower(), list(known), n=1, cutoff=0.5)
    return matches[0] if matches else None


def unknown(kind: str, name: str, known: Iterable[str]) -> UsageError:
    """Make the error for an unknown name, with the nearest known name.

    Args:
        kind: what the name stands for, such as ``"dataset"``.
        name: the unknown name.
        known: the known names.
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
