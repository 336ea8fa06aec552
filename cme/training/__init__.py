"""Training of adapters on a mix. The output folder contains the adapter and the run record.

Importing this package imports neither torch nor transformers, and a module only when one of its names is used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cme.training.grid import Grid, GridRun, train_grid
    from cme.training.recipe import load_recipe, recipe_text, recipes
    from cme.training.run import train
    from cme.training.settings import SCHEDULES, TrainSettings, settings_from

__all__ = [
    "SCHEDULES",
    "Grid",
    "GridRun",
    "TrainSettings",
    "load_recipe",
    "recipe_text",
    "recipes",
    "settings_from",
    "train",
    "train_grid",
]

_HOMES = {
    "SCHEDULES": "settings",
    "Grid": "grid",
    "GridRun": "grid",
    "TrainSettings": "settings",
    "load_recipe": "recipe",
    "recipe_text": "recipe",
    "recipes": "recipe",
    "settings_from": "settings",
    "train": "run",
    "train_grid": "grid",
}

if not TYPE_CHECKING:  # otherwise type checkers would accept any name

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module 'cme.training' has no attribute {name!r}")
        import importlib

        value = globals()[name] = getattr(importlib.import_module(f"cme.training.{_HOMES[name]}"), name)
        return value
