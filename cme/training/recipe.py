"""Recipes: one YAML file ⇄ training settings + adapter settings.

A recipe has two sections, ``training`` (`cme.training.settings.TrainSettings`) and ``adapter``
(`cme.adapters.AdapterSettings`). The names in them are all different, so flags that override them are one flat mapping.
``include: FILE`` takes the sections of another file beside it, for what several recipes share; the recipe's own win.
"""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from cme.adapters.read_settings import settings_from as adapter_from
from cme.adapters.read_settings import settings_to_mapping
from cme.adapters.settings import AdapterSettings
from cme.errors import UsageError, nearest, unknown
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
"""Methods that honour none of the others' settings: with such a flag, a recipe gives its training section only."""

_INSTEAD = {"steps": "epochs", "epochs": "steps", "gate_sum": "gate_scale", "gate_scale": "gate_sum"}
"""Settings of which one takes the place of the other."""


def recipes() -> list[str]:
    """Names of the recipes that come with CME; files whose names begin with ``_`` are for others to include."""
    found = (path.stem for path in (leaderboards_dir() / "recipes").glob("*.yaml"))
    return sorted(name for name in found if not name.startswith("_"))


def load_recipe(
    recipe: str | Path | None = None, overrides: Mapping[str, Any] | None = None
) -> tuple[TrainSettings, AdapterSettings]:
    """Read a recipe and put flags over it.

    Args:
        recipe: a YAML file, the name of a recipe that comes with CME, or None for the defaults.
        overrides: settings of both sections by name; None stands for "not given". ``steps`` takes the place of the
            recipe's ``epochs``, and the other way round; so do ``gate_sum`` and ``gate_scale``.

    Raises:
        UsageError: no such recipe, or everything that is wrong in it and in the overrides, in one message.
    """
    name = "settings" if recipe is None else f"recipe {recipe}"
    values = {} if recipe is None else _read(recipe)
    problems = [
        f"{name}: unknown section {key!r}; a recipe has {' and '.join(_SECTIONS)}." for key in values.keys() - _SECTIONS
    ]
    sections: dict[str, dict[str, Any]] = {}
    for section in _SECTIONS:
        found = values.get(section)
        if not isinstance(found, Mapping | None):
            problems.append(f"{name}: {section!r} must be a mapping, found {found!r}.")
            found = None
        sections[section] = dict(found or {})
    method = (overrides or {}).get("method")
    if method in _WITHOUT and sections["adapter"].get("method") != method:
        sections["adapter"] = {}
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
        problems.append(str(error))
    if problems or training is None or adapter is None:
        raise UsageError("\n".join(problems))
    return training, adapter


def recipe_text(training: TrainSettings, adapter: AdapterSettings) -> str:
    """The settings as YAML, every one of them spelled out; `load_recipe` reads it back."""
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
    """A recipe over the one that it includes, section by section."""
    name = values.pop("include")
    other = path.parent / str(name)
    if other.name != name or not other.is_file():
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
