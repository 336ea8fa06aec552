"""One adapter's settings: read from recipes and flags, checked, written back."""

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_type_hints

from cme.adapters.methods import METHODS
from cme.adapters.settings import AdapterSettings
from cme.adapters.targets import ALL_LINEAR
from cme.config import type_problem
from cme.errors import UsageError, nearest, unknown

__all__ = ["identity_of", "settings_from", "settings_to_mapping"]

_GATE_SUMS = ("free", 1, "experts")
_BALANCE_FORMS = ("centred", "released")


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
    if not isinstance(name, str):
        raise UsageError(f"{where}: 'method' must be one of {', '.join(METHODS)}, found {name!r}.")
    if name not in METHODS:
        raise unknown("method", name, METHODS)
    honoured = METHODS[name].settings
    hints = get_type_hints(AdapterSettings)
    ready = {key: _plain(key, value) for key, value in values.items()}
    problems = []
    for key, value in ready.items():
        if key not in hints:
            hint = nearest(str(key), ("method", *honoured))
            problems.append(f"unknown key {key!r}" + (f" (did you mean {hint!r}?)" if hint else ""))
        elif key not in honoured and key != "method":
            has = f"it has {', '.join(honoured)}" if honoured else "it has none"
            problems.append(f"{key}: {name} has no such setting ({has})")
        elif problem := type_problem(value, hints[key]) or _out_of_range(key, value):
            problems.append(f"{key}: {problem}")
    if ready.get("gate_sum") is not None and ready.get("gate_scale") is not None:
        problems.append("gate_sum and gate_scale are both given; gate_scale is the older name, give gate_sum only")
    # The method "peft" is nothing without options; the others need them as little as the import of peft for their check.
    if not problems and (ready.get("options") or name == "peft") and (check := METHODS[name].check):
        problems += [f"options: {problem}" for problem in check(ready.get("options", {}))]
    if problems:
        raise UsageError(f"{where}:\n" + "\n".join(f"  {problem}" for problem in problems))
    settings = AdapterSettings(**ready)
    return AdapterSettings(**{**vars(settings), "alpha": settings.lora_alpha, "gate_sum": _gate_sum(settings)})


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


def _gate_sum(settings: AdapterSettings) -> int | str | None:
    """The setting as it is used; None where ``gate_scale`` takes its place or the method has none."""
    method = METHODS[settings.method]
    if settings.gate_scale is not None or "gate_sum" not in method.settings:
        return None
    return method.gate_sum if settings.gate_sum is None else settings.gate_sum


def _plain(key: str, value: Any) -> Any:
    if key == "target_modules" and isinstance(value, list):
        return ALL_LINEAR if value == [ALL_LINEAR] else tuple(value)
    if key in ("alpha", "dropout", "gate_scale", "balance_weight") and type(value) is int:
        return float(value)
    if key == "gate_sum" and type(value) in (str, float) and value in ("1", 1.0):
        return 1
    return value


def _out_of_range(key: str, value: Any) -> str | None:
    if key in ("rank", "experts") and value < 1:
        return f"must be at least 1, found {value}"
    if key == "router_hidden" and value < 0:
        return f"must be at least 0, found {value}"
    if key == "alpha" and value is not None and not 0 < value < math.inf:
        return f"must be above 0, found {value}"
    if key == "dropout" and not 0 <= value < 1:
        return f"must be at least 0 and below 1, found {value}"
    if key == "balance_weight" and not 0 <= value < math.inf:
        return f"must be at least 0, found {value}"
    if key == "gate_sum" and value is not None and (value not in _GATE_SUMS or isinstance(value, bool)):
        return f"must be free, 1 or experts, found {value!r}"
    if key == "balance_form" and value not in _BALANCE_FORMS:
        return f"must be centred or released, found {value!r}"
    if (
        key == "gate_scale"
        and value is not None
        and (value != "experts" if isinstance(value, str) else not 0 < value < math.inf)
    ):
        return f"must be a number above 0, or 'experts', found {value!r}"
    if key == "target_modules" and value is not None:
        names = (value,) if isinstance(value, str) else value
        if not names or not all(isinstance(name, str) and name for name in names):
            return f"must be names of layers, or one regular expression, found {value!r}"
    return None
