"""Reading, checking and writing the settings of an adapter."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from cme.adapters.methods import METHODS, unknown_method
from cme.adapters.settings import AdapterSettings
from cme.config import check, message
from cme.errors import UsageError, nearest

__all__ = ["identity_of", "settings_from", "settings_to_mapping"]


_NAMES = tuple(field.name for field in fields(AdapterSettings))


def settings_from(values: Mapping[str, Any], where: str = "adapter settings") -> AdapterSettings:
    """Read settings from a mapping, such as a section of a recipe.

    Args:
        values: The settings by name. ``method`` is required.
        where: A description of the mapping for error messages.

    Returns:
        The settings, with the default of alpha filled in.

    Raises:
        UsageError: The method or a key is unknown, a value has the wrong type or is out of range, or the method does not
            use a setting. One message lists all problems.
    """
    name = values.get("method")
    if name is None:
        raise UsageError(
            f"{where}: no method is given. Choose one with --method (method= in Python), --recipe or --peft-config. "
            f"The methods are {', '.join(METHODS)}."
        )
    if not isinstance(name, str):
        raise UsageError(f"{where}: 'method' must be one of {', '.join(METHODS)}, found {name!r}.")
    if name not in METHODS:
        raise UsageError(unknown_method(name))
    honoured = METHODS[name].settings
    problems, known = [], {}
    for key, value in values.items():
        if key == "method" or key in honoured:
            known[key] = value
        elif key == "options":
            problems.append(f"{name} takes no options (--set), but only its settings: {', '.join(honoured) or 'none'}")
        elif key in _NAMES:
            has = f"it has {', '.join(honoured)}" if honoured else "it has none"
            problems.append(f"{name} has no setting {key!r} ({has})")
        else:
            hint = nearest(str(key), ("method", *honoured))
            problems.append(f"unknown key {key!r}" + (f" (did you mean {hint!r}?)" if hint else ""))
    if known.get("gate_sum") is not None and known.get("gate_scale") is not None:
        problems.append("gate_sum and its former name gate_scale are both given (give gate_sum only)")
    if known.get("gate_sum") == "free" and "gate_sum" in honoured and not METHODS[name].free_gates:
        problems.append(
            f"gate_sum: free has no effect in {name}, because its gate weights sum to 1 by definition (give 1 or experts)"
        )
    settings = check(AdapterSettings, known)
    if isinstance(settings, list):
        problems += settings
    # Checking options imports peft. Only the method "peft" requires options, so other methods without them skip the check.
    elif not problems and (settings.options or name == "peft") and (check_options := METHODS[name].check):
        problems += [f"options: {problem}" for problem in check_options(settings.options)]
    if problems or isinstance(settings, list):
        raise UsageError(message(problems, where))
    return replace(settings, alpha=settings.lora_alpha, gate_sum=_gate_sum(settings))


def settings_to_mapping(settings: AdapterSettings) -> dict[str, Any]:
    """Return the method and the settings that it uses, with defaults filled in. `settings_from` reads them back.

    If ``gate_scale`` was given, it is kept instead of ``gate_sum``. ``balance_form`` is included only if it is not the
    default.
    """
    honoured = ("method", *METHODS[settings.method].settings)
    targets = settings.target_modules
    values = vars(settings) | {
        "alpha": settings.lora_alpha,
        "target_modules": list(targets) if isinstance(targets, tuple) else targets,
        "gate_sum": _gate_sum(settings),
    }
    unused = [key for key in ("gate_sum", "gate_scale") if values[key] is None]
    unused += ["balance_form"] if settings.balance_form == "centred" else []
    return {
        item.name: values[item.name] for item in fields(settings) if item.name in honoured and item.name not in unused
    }


def identity_of(settings: AdapterSettings) -> dict[str, Any]:
    """Return the settings in the form that identifies an output folder.

    Settings that earlier versions of CME had keep their former names, so that a folder that an earlier version left
    unfinished can be resumed.
    """
    values = settings_to_mapping(settings)
    if values.get("gate_sum") in (1, "experts"):
        total = values.pop("gate_sum")
        values["gate_scale"] = 1.0 if total == 1 else total
    return values


def _gate_sum(settings: AdapterSettings) -> float | str | None:
    """Return the value of ``gate_sum`` in use, or None if ``gate_scale`` is given or the method has no such setting."""
    method = METHODS[settings.method]
    if settings.gate_scale is not None or "gate_sum" not in method.settings:
        return None
    return method.gate_sum if settings.gate_sum is None else settings.gate_sum
