"""What things that must agree differ in, in words that say which of them has what."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

__all__ = ["lacking", "split"]

_SHOWN = 4


def split(what: str, values: Mapping[str, str]) -> list[str]:
    """One phrase that says who has which value; nothing if all agree.

    Args:
        what: the values' subject.
        values: by name of who has them.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for name in sorted(values):
        groups[values[name]].append(name)
    if len(groups) < 2:
        return []
    return [what + ": " + ", ".join(f"{value} ({_names(names)})" for value, names in sorted(groups.items()))]


def lacking(what: str, members: Mapping[str, Sequence[str]]) -> list[str]:
    """One phrase that says who lacks which members that others have; nothing if all have the same."""
    known = {name: None for names in members.values() for name in names}
    without = {key: ", ".join(name for name in known if name not in names) for key, names in members.items()}
    return split(what, {key: f"without {names}" if names else "all" for key, names in without.items()})


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
