"""Checks for values of an entry that have valid types, but that no training or evaluation can have produced."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from cme.records import Entry, EntryRun
from cme.suite import datasets
from cme.suite.score import SCORER_VERSION
from cme.suite.suites import ALL

__all__ = ["RECIPE", "impossible"]

_POSITIVE = "a positive number"
_SHARE = "a number from 0 to 1"
_NOT_NEGATIVE = "a number that is not negative"
_TEXT = "a text"
_BOOL = "true or false"

RECIPE = {
    "prompt_format": _TEXT,
    "learning_rate": _POSITIVE,
    "schedule": _TEXT,
    "warmup": _SHARE,
    "epochs": _POSITIVE,
    "steps": _POSITIVE,
    "batch_size": _POSITIVE,
    "gradient_accumulation": _POSITIVE,
    "max_length": _POSITIVE,
    "dtype": _TEXT,
    "weight_decay": _NOT_NEGATIVE,
    "b_learning_rate_ratio": _POSITIVE,
    "max_grad_norm": _POSITIVE,
    "train_on_prompt": _BOOL,
    "gradient_checkpointing": _BOOL,
}
"""For each setting of a recipe, the values that it may have."""

_WHOLE = ("steps", "batch_size", "gradient_accumulation", "max_length")


def impossible(entry: Entry) -> Iterator[str]:
    """List the impossible values of an entry, one phrase for each.

    Args:
        entry: An entry whose types and names were checked.
    """
    known, scored = datasets(ALL, beside=True), {item.dataset for item in entry.scores.datasets}
    if entry.scorer_version == SCORER_VERSION:
        if strange := sorted(set(entry.task_fingerprints) - set(known)):
            yield f"task_fingerprints names {strange[0][:100]!a}, which is not a dataset of this suite"
        elif unscored := sorted(set(entry.task_fingerprints) - scored):
            yield f"task_fingerprints names {', '.join(unscored[:5])}, which was not scored"
    recipe = _mapping(entry.recipe)
    if any(run.seed is not None for run in entry.runs):
        yield from _recipe(recipe)
    for k, run in enumerate(entry.runs):
        where = f"run {k}" if run.seed is None else f"seed {run.seed}"
        yield from (f"{where}: {phrase}" for phrase in _run(run, recipe, scored))
    if entry.lr_grid is not None:
        yield from _grid(_mapping(entry.lr_grid))


def _recipe(recipe: Mapping[str, Any]) -> Iterator[str]:
    if strange := sorted(set(recipe) - set(RECIPE)):
        yield f"the recipe has {strange[0][:100]!a}, which is not a training setting"
    for name, kind in RECIPE.items():
        value = recipe.get(name)
        if value is None:
            if name == "learning_rate":
                yield f"the recipe has no {name}"
        elif not _fits(value, kind) or (name in _WHOLE and not isinstance(value, int)):
            yield f"recipe.{name} is {str(value)[:60]!a}; expected {'a whole and ' if name in _WHOLE else ''}{kind}"


def _run(run: EntryRun, recipe: Mapping[str, Any], scored: set[str]) -> Iterator[str]:
    provenance, cost = _mapping(run.provenance), _mapping(run.cost)
    data = provenance.get("data")
    if not isinstance(data, Mapping) or not data:
        yield "provenance.data is missing, so the scored rows are not identified"
    elif lacking := sorted(scored - set(data)):
        yield f"provenance.data lacks {', '.join(lacking[:5])}"
    elif bad := sorted(
        name
        for name, pins in data.items()
        if not (isinstance(pins, Mapping) and pins and all(isinstance(value, str) for value in pins.values()))
    ):
        yield f"provenance.data.{ascii(bad[0][:60])[1:-1]} does not identify the version of the rows"
    steps = recipe.get("steps")
    if isinstance(steps, int) and cost.get("steps") not in (None, steps):
        yield f"it took {cost['steps']} steps, but the recipe has {steps}"
    training = _mapping(provenance.get("training") or {})
    loss = training.get("validation_loss")
    if loss is not None and not _fits(loss, _NOT_NEGATIVE):
        yield f"provenance.training.validation_loss is {str(loss)[:60]!a}; expected {_NOT_NEGATIVE}"
    for name in ("examples", "cut", "interruptions"):
        if (count := training.get(name)) is not None and not (_fits(count, _NOT_NEGATIVE) and isinstance(count, int)):
            yield f"provenance.training.{name} is {str(count)[:60]!a}; expected a whole and {_NOT_NEGATIVE}"


def _grid(grid: Mapping[str, Any]) -> Iterator[str]:
    for k, run in enumerate(_mapping(item) for item in grid.get("runs") or ()):
        if not _fits(run.get("learning_rate"), _POSITIVE):
            yield f"lr_grid.runs.{k}.learning_rate is {str(run.get('learning_rate'))[:60]!a}; expected {_POSITIVE}"
        for name in ("validation_loss", "last_loss", "grad_norm"):
            if (loss := run.get(name)) is not None and not _fits(loss, _NOT_NEGATIVE):
                yield f"lr_grid.runs.{k}.{name} is {str(loss)[:60]!a}; expected {_NOT_NEGATIVE}"
    if not (_fits(grid.get("steps"), _POSITIVE) and isinstance(grid["steps"], int)):
        yield f"lr_grid.steps is {str(grid.get('steps'))[:60]!a}; expected a whole and {_POSITIVE}"


def _fits(value: Any, kind: str) -> bool:
    if kind == _TEXT:
        return isinstance(value, str)
    if kind == _BOOL:
        return isinstance(value, bool)
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        return False
    return value > 0 if kind == _POSITIVE else 0 <= value <= (1 if kind == _SHARE else math.inf)


def _mapping(value: Any) -> dict[str, Any]:
    """Return a part of a record as a dict; a value that is neither a mapping nor a model gives an empty dict."""
    try:
        return dict(value)
    except (TypeError, ValueError):
        return {}
