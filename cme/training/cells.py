"""Settings that a grid varies beside the learning rate, such as the rank."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from cme.adapters.config_check import check_configs
from cme.adapters.methods import METHODS
from cme.adapters.read_settings import settings_from, settings_to_mapping
from cme.adapters.settings import AdapterSettings
from cme.config import message
from cme.errors import UsageError, unknown
from cme.files import digest
from cme.records.grid import folder_of

__all__ = ["Tune", "cells_of", "check_cells", "tunable", "tuned", "with_scale"]

Tune = Mapping[str, Sequence[Any]]
"""Values of each setting that is varied beside the learning rate."""

_NOT = ("options", "target_modules")
"""Settings whose values are not single words or numbers."""


def tunable(method: str) -> list[str]:
    """Return the settings of a method that a grid can vary."""
    return [name for name in METHODS[method].settings if name not in _NOT]


def cells_of(adapter: AdapterSettings, tune: Tune) -> Iterator[tuple[dict[str, Any], AdapterSettings]]:
    """Yield every combination of the varied settings, with the adapter's settings that it gives.

    Args:
        adapter: The adapter's settings.
        tune: Values by setting. Nothing varies if it is empty.

    Raises:
        UsageError: The method has no such setting, a value is invalid, or one is given twice.
    """
    for key, values in tune.items():
        known = tunable(adapter.method)
        if not known:
            raise UsageError(f"tune: the method {adapter.method} has no settings that a grid can vary. Leave tune out.")
        if key not in known:
            raise UsageError(f"tune: {unknown('setting', key, known)}")
        if isinstance(values, str) or not isinstance(values, Sequence) or not values:
            shown = values if isinstance(values, str) or not isinstance(values, Sequence) else list(values)
            raise UsageError(f"tune: {key} is {shown!r}. Give a list of values, such as {key}: [8, 16].")
        if any(not isinstance(value, int | float | str) for value in values):
            raise UsageError(f"tune: {key} is {list(values)!r}. Give numbers or words.")
    made: set[str] = set()
    combinations = [dict(zip(tune, values, strict=True)) for values in itertools.product(*tune.values())]
    for chosen, own in zip(combinations, _adapters(adapter, combinations), strict=True):
        # Values can be equal and look different, such as 16 and 16.0. Different values must not share a folder.
        names = {folder_of(1.0, chosen), digest(settings_to_mapping(own))} if tune else set()
        if names & made:
            raise UsageError(f"tune: {', '.join(f'{key}: {value}' for key, value in chosen.items())} is given twice.")
        made |= names
        yield chosen, own


def check_cells(cells: Iterable[tuple[Mapping[str, Any], AdapterSettings]], where: str = "tune") -> None:
    """Check the combinations of varied settings by the configuration of the method.

    Args:
        cells: The combinations, as `cells_of` yields them.
        where: The origin of the values, for messages.

    Raises:
        UsageError: The method refuses combinations. One message lists all of them.
    """
    check_configs(((_point(chosen), own) for chosen, own in cells if chosen), where)


def _adapters(adapter: AdapterSettings, combinations: Sequence[Mapping[str, Any]]) -> list[AdapterSettings]:
    """Return the settings of each combination, or raise one error that lists all invalid combinations."""
    made: list[AdapterSettings] = []
    problems: list[str] = []
    for chosen in combinations:
        try:
            made.append(tuned(adapter, chosen, _point(chosen)))
        except UsageError as error:
            problems.append(str(error).removesuffix("."))
    if problems:
        raise UsageError(message(problems, "tune"))
    return made


def _point(chosen: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in chosen.items())


def tuned(adapter: AdapterSettings, chosen: Mapping[str, Any], where: str = "tune") -> AdapterSettings:
    """Return the settings of an adapter with other values of some of them.

    Args:
        adapter: The adapter's settings.
        chosen: The other values. The factor alpha / rank stays the same, unless alpha is among them.
        where: The origin of the values, for messages.

    Raises:
        UsageError: A value is invalid.
    """
    return settings_from(settings_to_mapping(adapter) | with_scale(adapter, chosen), where) if chosen else adapter


def with_scale(adapter: AdapterSettings, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Add the alpha to other values of settings that keeps alpha / rank, by which the output is scaled."""
    values = dict(chosen)
    rank, scaled = values.get("rank"), "alpha" in METHODS[adapter.method].settings
    if scaled and "alpha" not in values and isinstance(rank, int) and rank > 0:
        values["alpha"] = adapter.lora_alpha / adapter.rank * rank
    return values
