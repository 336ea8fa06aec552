"""Training of adapters on a mix. The output folder contains the adapter and the run record.

Importing this package imports neither torch nor transformers.
"""

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
