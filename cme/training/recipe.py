"""Recipes: YAML files with training settings and adapter settings.

A recipe has two sections, ``training`` (`cme.training.settings.TrainSettings`) and ``adapter``
(`cme.adapters.AdapterSettings`). No setting occurs in both sections, so overrides are one flat mapping. ``include: FILE``
adds the settings of another file in the same folder. The recipe's own settings have precedence.
"""

import os
import warnings
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from cme.adapters.methods import METHODS
from cme.adapters.read_settings import settings_from as adapter_from
from cme.adapters.read_settings import settings_to_mapping
from cme.adapters.settings import AdapterSettings
from cme.errors import CMEWarning, UsageError, nearest, unknown
from cme.paths import leaderboards_dir
from cme.readers.yaml_file import read_yaml
from cme.training.settings import TrainSettings, stored
from cme.training.settings import settings_from as training_from

__all__ = ["load_recipe", "recipe_text", "recipes"]

_SECTIONS = {
    "training": tuple(field.name for field in fields(TrainSettings)),
    "adapter": tuple(field.name for field in fields(AdapterSettings)),
}
_WITHOUT = ("peft", "full")
"""Methods whose settings are not those of others. If one of them overrides the method, only settings that it has are kept."""

_FIELDS = {"rank": "r", "alpha": "lora_alpha", "dropout": "lora_dropout"}
"""Settings of a recipe, and the fields of PEFT's configurations that state the same."""

_INSTEAD = {"steps": "epochs", "epochs": "steps", "gate_sum": "gate_scale", "gate_scale": "gate_sum"}
"""Settings that replace each other."""


_LONGEST_NAME = 255
"""Most bytes in a file's name. File systems report an error for longer ones."""


def recipes() -> list[str]:
    """Return the names of the built-in recipes. Files whose names begin with ``_`` are for inclusion only."""
    names = (path.stem for path in (leaderboards_dir() / "recipes").glob("*.yaml"))
    return sorted(name for name in names if not name.startswith("_"))


def load_recipe(
    recipe: str | Path | None = None, overrides: Mapping[str, Any] | None = None, *, own_options: bool = False
) -> tuple[TrainSettings, AdapterSettings]:
    """Read a recipe and apply overrides.

    Args:
        recipe: A YAML file, the name of a built-in recipe, or None for the defaults.
        overrides: Settings of both sections by name. A value of None is ignored. ``steps`` and ``epochs`` replace each other,
            and so do ``gate_sum`` and ``gate_scale``. ``options`` are added to those of the recipe. If ``peft`` or ``full``
            overrides the recipe's method, the recipe's target modules are kept for ``peft``, unless the options determine the
            layers themselves. Its other adapter settings are left out. A warning lists them.
        own_options: Whether the ``options`` of the overrides are a whole configuration (``peft_config``), which replaces the
            options of the recipe.

    Raises:
        UsageError: The recipe does not exist, or the recipe or the overrides are invalid. One message lists all problems.
    """
    name = "settings" if recipe is None else f"recipe {recipe}"
    values = {} if recipe is None else _read(recipe)
    problems = [
        f"{name}: unknown section {key!r}. A recipe has the sections {' and '.join(_SECTIONS)}."
        for key in values.keys() - _SECTIONS
    ]
    sections: dict[str, dict[str, Any]] = {}
    for section in _SECTIONS:
        own = values.get(section)
        if not isinstance(own, Mapping | None):
            problems.append(f"{name}: {section!r} must be a mapping, found {own!r}.")
            own = None
        sections[section] = dict(own or {})
    method = (overrides or {}).get("method")
    if own_options or (method in _WITHOUT and sections["adapter"].get("method") != method):
        options = (overrides or {}).get("options")
        sections["adapter"] = _kept(name, sections["adapter"], str(method), options, own_options=own_options)
    for key, value in (overrides or {}).items():
        home = next((section for section, names in _SECTIONS.items() if key in names), None)
        if home is None:
            hint = nearest(key, (name for names in _SECTIONS.values() for name in names))
            problems.append(f"unknown setting {key!r}" + (f" (did you mean {hint!r}?)." if hint else "."))
        elif value is not None:
            if key == "options" and isinstance(before := sections[home].get(key), Mapping):
                value = {**before, **value}
            sections[home][key] = value
            other = _INSTEAD.get(key)
            if other and (overrides or {}).get(other) is None:
                sections[home].pop(other, None)
    training, adapter = None, None
    try:
        training = training_from(sections["training"], f"{name}, training")
    except UsageError as error:
        problems.append(str(error))
    try:
        adapter = adapter_from(sections["adapter"], f"{name}, adapter")
    except UsageError as error:
        # With a misspelt section, the adapter's settings are not absent but under another name.
        if sections["adapter"] or not values.keys() - _SECTIONS:
            problems.append(str(error))
    if problems or training is None or adapter is None:
        raise UsageError("\n".join(problems))
    return training, adapter


def _kept(name: str, section: Mapping[str, Any], method: str, options: Any, *, own_options: bool) -> dict[str, Any]:
    """Return the settings of a recipe's adapter section that another configuration leaves, and warn about the others.

    Nothing is said about the method ``full``, which has no adapter, about settings that the options state, or about options
    that a whole configuration replaces.
    """
    from cme.adapters.peft_methods import names_own_layers

    stated = options if isinstance(options, Mapping) else {}
    apart = ("options", "target_modules") if names_own_layers(stated) else ("options",)
    kept = {key: value for key, value in section.items() if key in METHODS[method].settings and key not in apart}
    silent = ("method", "options") if own_options else ("method",)
    lost = [key for key in section if key not in kept and key not in silent and _FIELDS.get(key) not in stated]
    if lost and method != "full":
        warnings.warn(
            f"{name}: these adapter settings are not used: {', '.join(lost)}. The method {method} has fields of its own, which "
            "--peft-config and --set give.",
            CMEWarning,
            stacklevel=3,
        )
    return kept


def recipe_text(training: TrainSettings, adapter: AdapterSettings) -> str:
    """Write all settings as YAML. `load_recipe` reads the text back."""
    values = {"training": stored(training), "adapter": settings_to_mapping(adapter)}
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def _read(recipe: str | Path, *, included: bool = False) -> dict[str, Any]:
    path = Path(recipe).expanduser()
    if not path.is_file():
        own = leaderboards_dir() / "recipes" / f"{recipe}.yaml"
        if path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
            raise UsageError(f"recipe {recipe} does not exist. Built-in recipes: {', '.join(recipes())}.")
        if not own.is_file():
            raise unknown("recipe", str(recipe), recipes())
        path = own
    values = read_yaml(path, f"recipe {recipe}", error=UsageError)
    if not isinstance(values, dict):
        raise UsageError(f"recipe {recipe} must be a mapping with the sections {' and '.join(_SECTIONS)}.")
    return _included(values, path) if "include" in values and not included else values


def _included(values: dict[str, Any], path: Path) -> dict[str, Any]:
    """Merge a recipe with the recipe that it includes, section by section."""
    name = values.pop("include")
    other = path.parent / str(name)
    if other.name != name or len(os.fsencode(name)) > _LONGEST_NAME or not other.is_file():
        raise UsageError(f"recipe {path}: include: {name!r} is not another file in the same folder.")
    under = _read(other, included=True)
    if "include" in under:
        raise UsageError(
            f"recipe {path}: {name} includes another file. An included recipe cannot have an include of its own."
        )
    for section in _SECTIONS:
        own = values.get(section)
        if isinstance(own, Mapping | None) and isinstance(under.get(section), Mapping):
            replaced = {_INSTEAD.get(key) for key in own or {}}
            kept = {key: value for key, value in under[section].items() if key not in replaced}
            values[section] = {**kept, **(own or {})}
    return values
