"""One adapter's settings: read from recipes and flags, checked, written back."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from cme.adapters.methods import METHODS
from cme.adapters.settings import AdapterSettings
from cme.config import check, message
from cme.errors import UsageError, nearest, unknown

__all__ = ["identity_of", "settings_from", "settings_to_mapping"]


_NAMES = tuple(field.name for field in fields(AdapterSettings))


def settings_from(values: Mapping[str, Any], where: str = "adapter settings") -> AdapterSettings:
    """Read settings from a mapping (a recipe's section, flags).

    Args:
        values: at least ``method``; lists of target modules may be lists.
        where: what the mapping is, for the message.

    Returns:
        The settings with alpha filled in.

    Raises:
        UsageError: every unknown key, wrong type, number out of range and setting that the method does not honour, in
            one message; or an unknown method.
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
        raise unknown("method", name, METHODS)
    honoured = METHODS[name].settings
    problems, known = [], {}
    for key, value in values.items():
        if key == "method" or key in honoured:
            known[key] = value
        elif key in _NAMES:
            has = f"it has {', '.join(honoured)}" if honoured else "it has none"
            problems.append(f"{key}: {name} has no such setting ({has})")
        else:
            hint = nearest(str(key), ("method", *honoured))
            problems.append(f"unknown key {key!r}" + (f" (did you mean {hint!r}?)" if hint else ""))
    if known.get("gate_sum") is not None and known.get("gate_scale") is not None:
        problems.append("gate_sum and its former name gate_scale are both given (give gate_sum only)")
    settings = check(AdapterSettings, known)
    if isinstance(settings, list):
        problems += settings
    # The method "peft" is nothing without options; the others need them as little as the import of peft for their check.
    elif not problems and (settings.options or name == "peft") and (check_options := METHODS[name].check):
        problems += [f"options: {problem}" for problem in check_options(settings.options)]
    if problems or isinstance(settings, list):
        raise UsageError(message(problems, where))
    return replace(settings, alpha=settings.lora_alpha, gate_sum=_gate_sum(settings))


def settings_to_mapping(settings: AdapterSettings) -> dict[str, Any]:
    """The method and the settings that it honours, defaults filled in; `settings_from` reads it back.

    A ``gate_scale`` that was given stays, in place of ``gate_sum``. A ``balance_form`` is written if it is not the default.
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
    """The settings as output folders remember them: what earlier versions could express, in their words.

    A folder that an earlier version left unfinished is so continued.
    """
    values = settings_to_mapping(settings)
    if values.get("gate_sum") in (1, "experts"):
        total = values.pop("gate_sum")
        values["gate_scale"] = 1.0 if total == 1 else total
    return values


def _gate_sum(settings: AdapterSettings) -> float | str | None:
    """The setting as it is used; None where ``gate_scale`` takes its place or the method has none."""
    method = METHODS[settings.method]
    if settings.gate_scale is not None or "gate_sum" not in method.settings:
        return None
    return method.gate_sum if settings.gate_sum is None else settings.gate_sum
