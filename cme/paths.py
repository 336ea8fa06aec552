"""Where the files lie that travel with the package (task YAMLs, recipes, the paper's rows), and the package's name for pip."""

from pathlib import Path

from cme.errors import CMEError

__all__ = ["DISTRIBUTION", "leaderboards_dir", "tasks_dir"]

DISTRIBUTION = "cme-bench"
"""Name of this package for pip; the package that Python imports is ``cme``."""

_PACKAGE = Path(__file__).resolve().parent


def _find(name: str) -> Path:
    for place in (_PACKAGE / "_share" / name, _PACKAGE.parent / name):
        if place.is_dir():
            return place
    raise CMEError(
        f"the folder {name!r} is missing from the installation at {_PACKAGE}. "
        f"Install it again: pip install --force-reinstall {DISTRIBUTION}"
    )


def tasks_dir() -> Path:
    """Folder with the task YAMLs: inside the wheel, or beside the package in a checkout."""
    return _find("tasks")


def leaderboards_dir() -> Path:
    """Folder with ``recipes/`` and ``paper.json``: inside the wheel, or beside the package in a checkout."""
    return _find("leaderboards")
