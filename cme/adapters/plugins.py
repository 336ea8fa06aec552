"""Methods of other packages: entry points of the group ``cme.adapters``, one name → one `cme.adapters.Method`.

Looking for them reads the installed packages' metadata; none is imported before it is asked for.
"""

import importlib.metadata
from functools import cache
from typing import TypeVar

from cme.errors import AdapterError

__all__ = ["GROUP", "entry_points", "load"]

GROUP = "cme.adapters"

T = TypeVar("T")


@cache
def entry_points() -> dict[str, importlib.metadata.EntryPoint]:
    """The entry points by name, in alphabetical order."""
    found = importlib.metadata.entry_points(group=GROUP)
    return {point.name: point for point in sorted(found, key=lambda point: point.name)}


def load(name: str, kind: type[T]) -> T:
    """Import what an entry point names.

    Args:
        name: the entry point's.
        kind: what it must be, `cme.adapters.Method`.

    Raises:
        AdapterError: the import fails, or gives something else, or a method of another name.
    """
    point = entry_points()[name]
    source = f"the package {point.dist.name}" if point.dist else "a package"
    try:
        found = point.load()
    except Exception as error:  # whatever another package's code raises
        raise AdapterError(
            f"the method {name!r} of {source} cannot be imported ({point.value}): {type(error).__name__}: {error}. "
            "Mend or uninstall that package."
        ) from error
    if not isinstance(found, kind) or getattr(found, "name", name) != name:
        raise AdapterError(
            f"the entry point {name!r} of {source} must be a cme.adapters.Method of that name, found {found!r}."
        )
    return found
