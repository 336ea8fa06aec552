"""Methods of other packages: entry points of the group ``cme.adapters``, each of which names a `cme.adapters.Method`.

The entry points are read from the metadata of the installed packages. A package is imported when one of its methods is
first used. A package that cannot be imported causes one warning and does not affect other methods.
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
    """Return the entry points by name, in alphabetical order. One whose name is taken is left out with a warning.

    Args:
        taken: Names of CME's own methods, which have precedence over those of other packages. If two packages use the same
            name, the first package in alphabetical order has precedence.
    """
    points: dict[str, EntryPoint] = {}
    for point in sorted(installed(group=GROUP), key=lambda point: (point.name, package_of(point))):
        if point.name not in taken and point.name not in points:
            points[point.name] = point
            continue
        owner = "CME itself" if point.name in taken else f"the package {package_of(points[point.name])}"
        warn_once(
            f"the method {point.name!r} of the package {package_of(point)} is ignored, because {owner} has a method of the "
            "same name. Rename the method, or uninstall the package."
        )
    return points


def package_of(point: EntryPoint) -> str:
    """Return the distribution that provides an entry point, by its name for pip."""
    return point.dist.name if point.dist else "(unknown)"


def load(point: EntryPoint, kind: type[T]) -> T:
    """Import the object that an entry point names.

    Args:
        point: One of `entry_points`.
        kind: The required type, `cme.adapters.Method`.

    Raises:
        AdapterError: The import fails, the object has another type, or the method has another name.
    """
    try:
        loaded: Any = point.load()
    except Exception as error:  # The code of another package can raise any exception.
        raise _failed(point, error) from error
    if not isinstance(loaded, kind) or vars(loaded).get("name", point.name) != point.name:
        raise AdapterError(
            f"the entry point {point.name!r} of the package {package_of(point)} must be a cme.adapters.Method of that "
            f"name, but is {loaded!r}. Fix or uninstall that package."
        )
    return loaded


def import_package(module: str, point: EntryPoint | None) -> ModuleType:
    """Import the module that registers a method with PEFT.

    Args:
        module: The module's name, from `cme.adapters.Method.package`.
        point: The entry point of the method, or None if it is one of CME's own methods.

    Raises:
        AdapterError: The module belongs to another package and cannot be imported.
    """
    try:
        return importlib.import_module(module)
    except Exception as error:  # The code of another package can raise any exception.
        if point is None:
            raise
        raise _failed(point, error) from error


@cache
def warn_once(message: str) -> None:
    """Show a warning. A message that was already shown in this process is not repeated."""
    warnings.warn(message, CMEWarning, stacklevel=2)


def _failed(point: EntryPoint, error: Exception) -> AdapterError:
    return AdapterError(
        f"the method {point.name!r} of the package {package_of(point)} cannot be imported: "
        f"{type(error).__name__}: {error}. Fix or uninstall that package."
    )
