"""Phrases that describe how things that must agree differ, and which of them has which value."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

__all__ = ["lacking", "other_settings", "split", "unequal_keys"]

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


def unequal_keys(own: Mapping[str, object], other: Mapping[str, object], *, keys_only: bool = False) -> list[str]:
    """Return the keys that one mapping lacks, or whose values differ, sorted.

    Args:
        own: a mapping.
        other: another mapping.
        keys_only: whether values may differ.
    """
    return sorted(
        name
        for name in {*own, *other}
        if (name in own) != (name in other) or (not keys_only and own.get(name) != other.get(name))
    )


def other_settings(names: Sequence[str], own: object, result: object) -> list[str]:
    """Describe the attributes of a record that differ from those of a result, one phrase for each.

    Args:
        names: names of the attributes.
        own: the record.
        result: the result.
    """
    return [
        f"its {name.replace('_', ' ')} is {_short(getattr(own, name))}, that of the result is {_short(getattr(result, name))}"
        for name in names
        if getattr(own, name) != getattr(result, name)
    ]


def _short(value: object) -> str:
    """Return a value as text, and a digest as its first characters."""
    return str(value)[:12] if len(str(value)) == 64 else repr(value)
