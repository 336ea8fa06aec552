"""Where the files lie that travel with the package: task YAMLs, recipes, the paper's rows."""

from pathlib import Path

from cme.errors import CMEError

__all__ = ["leaderboards_dir", "tasks_dir"]

_PACKAGE = Path(__file__).resolve().parent


def _find(name: str) -> Path:
    for place in (_PACKAGE / "_share" / name, _PACKAGE.parent / name):
        if place.is_dir():
            return place
    raise CMEError(f"the folder {name!r} is missing from the installation at {_PACKAGE}. Install cme again.")


def tasks_dir() -> Path:
    """Folder with the task YAMLs: inside the wheel, or beside the package in a checkout."""
    return _find("tasks")


def leaderboards_dir() -> Path:
    """Folder with ``recipes/`` and ``paper.json``: inside the wheel, or beside the package in a checkout."""
    return _find("leaderboards")
