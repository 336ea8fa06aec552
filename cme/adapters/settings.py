"""One adapter's settings: read from recipes and flags, checked, written back."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, get_type_hints

from cme.adapters.methods import METHODS
from cme.adapters.targets import ALL_LINEAR
from cme.config import type_problem
from cme.errors import UsageError, nearest, unknown

__all__ = ["AdapterSettings", "settings_from", "settings_to_mapping"]


@dataclass(frozen=True)
class AdapterSettings:
    """One adapter's settings, flat; what a method does not honour keeps its default and has no effect.

    Attributes:
        method: a key of `METHODS`.
        rank: of the adapter (LoRA), or of ONE expert (methods with experts).
        experts: number of experts, k (the paper's best: 4).
        alpha: the adapter's output is multiplied by alpha / rank. None: twice the rank, so that this factor is 2 for
            every method and rank; the paper does not state its alpha, and twice the rank is LLaMA-Factory's default.
        dropout: on the adapter's input, in training.
        target_modules: names of layers, or a regular expression; None: the feed-forward projections, as in the paper.
        collaboration: one shared A split between the experts, or an A for each.
        competition: gates by the interaction matrix, or by plain softmax.
        gate_scale: what the gates sum to: a number, or ``"experts"``.
        balance_weight: weight of the balance term in the loss.
        router_hidden: hidden units of the router; 0: one linear layer.
        options: further fields of the configuration, for methods that CME does not know by heart.
    """

    method: str
    rank: int = 8
    experts: int = 4
    alpha: float | None = None
    dropout: float = 0.0
    target_modules: tuple[str, ...] | str | None = None
    collaboration: bool = True
    competition: bool = True
    gate_scale: float | str = 1.0
    balance_weight: float = 0.0
    router_hidden: int = 0
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def lora_alpha(self) -> float:
        """Alpha as it is used: as given, else twice the rank."""
        return 2.0 * self.rank if self.alpha is None else self.alpha


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
    # The method "peft" is nothing without options; the others need them as little as the import of peft for their check.
    if not problems and (ready.get("options") or name == "peft") and (check := METHODS[name].check):
        problems += [f"options: {problem}" for problem in check(ready.get("options", {}))]
    if problems:
        raise UsageError(f"{where}:\n" + "\n".join(f"  {problem}" for problem in problems))
    settings = AdapterSettings(**ready)
    return AdapterSettings(**{**vars(settings), "alpha": settings.lora_alpha})


def settings_to_mapping(settings: AdapterSettings) -> dict[str, Any]:
    """The method and the settings that it honours, alpha filled in; `settings_from` reads it back."""
    honoured = ("method", *METHODS[settings.method].settings)
    targets = settings.target_modules
    values = vars(settings) | {
        "alpha": settings.lora_alpha,
        "target_modules": list(targets) if isinstance(targets, tuple) else targets,
    }
    return {item.name: values[item.name] for item in fields(settings) if item.name in honoured}


def _plain(key: str, value: Any) -> Any:
    if key == "target_modules" and isinstance(value, list):
        return ALL_LINEAR if value == [ALL_LINEAR] else tuple(value)
    if key in ("alpha", "dropout", "gate_scale", "balance_weight") and type(value) is int:
        return float(value)
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
    if key == "gate_scale" and (value != "experts" if isinstance(value, str) else not 0 < value < math.inf):
        return f"must be a number above 0, or 'experts', found {value!r}"
    if key == "target_modules" and value is not None:
        names = (value,) if isinstance(value, str) else value
        if not names or not all(isinstance(name, str) and name for name in names):
            return f"must be names of layers, or one regular expression, found {value!r}"
    return None
