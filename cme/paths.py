"""Paths of the files that ship with the package (task YAMLs, recipes, rows of the paper), and the package's name for pip."""

from pathlib import Path

from cme.errors import CMEError

__all__ = ["DISTRIBUTION", "leaderboards_dir", "tasks_dir"]

DISTRIBUTION = "cme-bench"
"""Name of the distribution for pip. The Python package is ``cme``."""

_PACKAGE = Path(__file__).resolve().parent


def _find(name: str) -> Path:
    for place in (_PACKAGE / "_share" / name, _PACKAGE.parent / name):
        if place.is_dir():
            return place
    raise CMEError(
        f"the folder {name!r} is missing from the installation at {_PACKAGE}. "
        f"Reinstall CME: pip install --force-reinstall {DISTRIBUTION}"
    )


def tasks_dir() -> Path:
    """Return the folder of the task YAMLs, in the installed package or in a checkout."""
    return _find("tasks")


def leaderboards_dir() -> Path:
    """Return the folder with ``recipes/`` and ``paper.json``, in the installed package or in a checkout."""
    return _find("leaderboards")
