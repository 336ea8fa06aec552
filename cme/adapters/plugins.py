"""Methods of other packages: entry points of the group ``cme.adapters``, one name → one `cme.adapters.Method`.

Looking for them reads the installed packages' metadata; none is imported before it is asked for. What is wrong with one
package is said once and keeps no other method from working.
"""

import importlib
import warnings
from collections.abc import Collection
from functools import cache
from importlib.metadata import EntryPoint
from importlib.metadata import entry_points as installed
from types import ModuleType
from typing import Any, TypeVar

from cme.errors import AdapterError, CMEWarning

__all__ = ["GROUP", "entry_points", "import_package", "load", "package_of", "warn_once"]

GROUP = "cme.adapters"

T = TypeVar("T")


def entry_points(taken: Collection[str]) -> dict[str, EntryPoint]:
    """The entry points by name, in alphabetical order; one that cannot have its name is left out with a warning.

    Args:
        taken: names of CME's own methods, which win over other packages'. Of two packages with the same name, the first
            in alphabetical order wins.
    """
    found: dict[str, EntryPoint] = {}
    for point in sorted(installed(group=GROUP), key=lambda point: (point.name, package_of(point))):
        if point.name not in taken and point.name not in found:
            found[point.name] = point
            continue
        winner = "CME's own" if point.name in taken else f"that of the package {package_of(found[point.name])}"
        warn_once(
            f"the method {point.name!r} of the package {package_of(point)} is left out, because {winner} has the same "
            "name. Rename it, or uninstall the package."
        )
    return found


def package_of(point: EntryPoint) -> str:
    """The package that brings an entry point, as pip knows it."""
    return point.dist.name if point.dist else "(unknown)"


def load(point: EntryPoint, kind: type[T]) -> T:
    """Import what an entry point names.

    Args:
        point: one of `entry_points`.
        kind: what it must be, `cme.adapters.Method`.

    Raises:
        AdapterError: the import fails, or gives something else, or a method of another name.
    """
    try:
        found: Any = point.load()
    except Exception as error:  # whatever another package's code raises
        raise _failed(point, error) from error
    if not isinstance(found, kind) or vars(found).get("name", point.name) != point.name:
        raise AdapterError(
            f"the entry point {point.name!r} of the package {package_of(point)} must be a cme.adapters.Method of that "
            f"name, found {found!r}. Fix or uninstall that package."
        )
    return found


def import_package(module: str, point: EntryPoint | None) -> ModuleType:
    """Import the module that enters a method into PEFT.

    Args:
        module: `cme.adapters.Method.package`.
        point: where the method comes from; None: from CME itself.

    Raises:
        AdapterError: another package's module cannot be imported.
    """
    try:
        return importlib.import_module(module)
    except Exception as error:  # as in `load`
        if point is None:
            raise
        raise _failed(point, error) from error


@cache
def warn_once(message: str) -> None:
    """Warn, once in a process however often the same is said."""
    warnings.warn(message, CMEWarning, stacklevel=2)


def _failed(point: EntryPoint, error: Exception) -> AdapterError:
    return AdapterError(
        f"the method {point.name!r} of the package {package_of(point)} cannot be imported: "
        f"{type(error).__name__}: {error}. Fix or uninstall that package."
    )
