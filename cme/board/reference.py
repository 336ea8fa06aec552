"""References of a board: the base, the base with examples in the prompt, and the baselines."""

import re

from cme.errors import unknown
from cme.suite.baselines import BASELINES

__all__ = ["check_reference", "is_reference", "shots_of"]

_SHOTS = re.compile(r"base-([1-9]\d*)-shot")


def shots_of(name: str) -> int:
    """Return the number of examples in the prompt for a reference such as ``base-4-shot``, and 0 for others."""
    match = _SHOTS.fullmatch(name)
    return int(match[1]) if match else 0


def is_reference(name: str) -> bool:
    """Return whether a name is that of a reference."""
    return name == "base" or name in BASELINES or bool(_SHOTS.fullmatch(name))


def check_reference(name: str) -> None:
    """Refuse an unknown reference.

    Raises:
        UsageError: there is no such reference.
    """
    if not is_reference(name):
        raise unknown("reference", name, ("base", "base-4-shot", *BASELINES))
