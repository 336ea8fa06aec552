"""The settings of a training from the arguments of `cme.train` and `cme.train_grid`."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cme.api.adapter_values import given
from cme.api.call import path
from cme.errors import UsageError
from cme.records import AdapterRecord, Grid, chosen_rate, chosen_settings, read_record
from cme.records.grid import GRID
from cme.records.method import method_label

if TYPE_CHECKING:
    from cme.adapters import AdapterSettings
    from cme.training import TrainSettings

__all__ = ["settings_of"]


def settings_of(arguments: Mapping[str, Any]) -> "tuple[TrainSettings, AdapterSettings]":
    """Make training and adapter settings from a function's arguments.

    Args:
        arguments: The arguments by name, with ``out``, ``lr_grid`` and ``tune`` if the function has them.

    Returns:
        The settings, with what the grid of ``lr_from`` chose.

    Raises:
        UsageError: arguments do not fit together, or the grid of ``lr_from`` is of another method, base, mix or adapter.
        CMEError: the grid of ``lr_from`` cannot be read or has not chosen a rate yet.
    """
    from cme.training import load_recipe
    from cme.training.cells import tuned

    values = {key: value for key, value in arguments.items() if key not in ("out", "lr_grid", "tune")}
    recipe, data, rate = values.pop("recipe"), values.pop("data"), values.pop("lr", None)
    source = values.pop("lr_from", None)
    grid = None if source is None else path(source)
    chosen: Mapping[str, Any] = {}
    if grid is not None:
        if rate is not None:
            raise UsageError("lr and lr_from cannot be combined. Give one of them.")
        rate, chosen = chosen_rate(grid), chosen_settings(grid)
        if twice := [key for key in chosen if values.get(key) is not None]:
            raise UsageError(f"{twice[0]} is chosen by the grid {grid}, so it cannot be given too. Leave it out.")
    _check_alpha(values.get("alpha"), arguments.get("tune") or {}, chosen)
    place = None if data is None else str(path(data))
    file = recipe if recipe is None or isinstance(recipe, str) else Path(recipe)
    overrides = given(**values) | {"data": place, "learning_rate": rate}
    settings, adapter = load_recipe(file, overrides, own_options=values.get("peft_config") is not None)
    if grid is None:
        return settings, adapter
    _check_method(adapter, grid)
    adapter = tuned(adapter, chosen, "the choice of the grid (lr_from)")
    _check_same(settings, adapter, grid)
    return settings, adapter


def _check_alpha(alpha: float | None, tune: Mapping[str, Any], chosen: Mapping[str, Any]) -> None:
    """Refuse an alpha beside a rank that a grid varies or chose, because alpha / rank stays the same there."""
    if alpha is None:
        return
    for which, ranks, instead in (
        ("varies", tune, "vary alpha too (--tune alpha=…)"),
        ("chose", chosen, "give the rate (--lr) and the rank in place of the grid"),
    ):
        if "rank" in ranks and "alpha" not in ranks:
            raise UsageError(
                f"alpha is {alpha:g}, but the grid {which} the rank, and alpha / rank stays that of the recipe, or 2. Leave "
                f"alpha out, or {instead}."
            )


def _check_method(adapter: "AdapterSettings", grid: Path) -> None:
    """Refuse the grid of another method, whose learning rate and settings were not chosen for this one."""
    method, own = read_record(grid / GRID, Grid).method, method_label(adapter.method, adapter.options)
    if method != own:
        raise UsageError(
            f"{grid} is a grid of the method {method}, but the method here is {own}. Give a grid of {own}. To use this rate "
            f"all the same, give it as lr={chosen_rate(grid)} (--lr)."
        )


def _check_same(settings: "TrainSettings", adapter: "AdapterSettings", grid: Path) -> None:
    """Refuse the grid of another base, mix or adapter, as far as it records them."""
    from cme.adapters.read_settings import settings_to_mapping
    from cme.mix import read_manifest
    from cme.models.load import base_fingerprint, resolve_base

    record = read_record(grid / GRID, Grid)
    base, mix = record.base_fingerprint, record.mix_fingerprint
    here = base_fingerprint(resolve_base(settings.base)) if base is not None else ""
    data = read_manifest(Path(settings.data)).fingerprint if mix is not None else ""
    if differences := record.differences(here, data, AdapterRecord(**settings_to_mapping(adapter))):
        raise UsageError(
            f"{grid} was run with other settings ({', '.join(differences)}), so its rate was not chosen for this training. Give "
            f"a grid with the same base, mix and settings. To use this rate all the same, give it as lr={chosen_rate(grid)} "
            "(--lr)."
        )
