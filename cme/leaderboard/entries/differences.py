"""Phrases that describe how things that must agree differ, and which of them has which value."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

__all__ = ["lacking", "split"]

_SHOWN = 4


def split(what: str, values: Mapping[str, str]) -> list[str]:
    """Describe which names have which value.

    Args:
        what: What the values are, such as ``"tier"``.
        values: The value of each name.

    Returns:
        One phrase, such as ``"tier: quick (a, b), smoke (c)"``; an empty list if all values are equal.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for name in sorted(values):
        groups[values[name]].append(name)
    if len(groups) < 2:
        return []
    return [what + ": " + ", ".join(f"{value} ({_names(names)})" for value, names in sorted(groups.items()))]


def lacking(what: str, members: Mapping[str, Sequence[str]]) -> list[str]:
    """Describe which names lack members that others have, in one phrase; an empty list if all have the same members."""
    known = {name: None for names in members.values() for name in names}
    without = {key: ", ".join(name for name in known if name not in names) for key, names in members.items()}
    return split(what, {key: f"without {names}" if names else "all" for key, names in without.items()})


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
