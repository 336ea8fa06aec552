"""Names of adapter methods in records and tables."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

__all__ = [
    "GATE_SUMS",
    "RANK_EXPERTS",
    "UNMEASURED",
    "costly_settings",
    "has_other_costs",
    "measured_name",
    "method_label",
    "ranks_of",
    "recorded_ranks",
    "with_gate_sum",
]

UNMEASURED = ("peft", "full")
"""Methods without a characteristic cost: ``peft`` depends on its options, and ``full`` has no adapter."""

_RANKS = {"smora": "single", "flylora": "single", "comol": "shared"}
"""The methods of CME whose experts do not have ranks of their own. Records name the kind for methods of other packages only."""

RANK_EXPERTS = tuple(name for name, kind in _RANKS.items() if kind == "single")
"""Methods of CME in which every rank is an expert. They have no setting for the number of experts."""


def has_other_costs(options: Mapping[str, Any]) -> bool:
    """Return whether options change the costs of a method, so that a measurement with its defaults is not that of the row.

    Numbers of experts by layer (MoLA) and a router that reads x (CoMoL) do. ``cme bench adapters`` measures defaults.

    Args:
        options: The adapter's options.
    """
    return bool(options.get("experts_pattern")) or options.get("core_router") is False


GATE_SUMS: dict[str, int | str] = {
    "teamlora": "free", "moelora": 1, "hydralora": 1, "mola": 1, "adamole": 1, "comol": 1,
}  # fmt: skip
"""What the gate weights of CME's methods sum to by default."""

_DEFAULTS = {"dropout": 0, "collaboration": True, "competition": True, "balance_weight": 0, "router_hidden": 0}
"""Settings that change the computation, with the values with which ``cme bench adapters`` measures a method."""


def costly_settings(settings: Mapping[str, Any], gate_sum: int | str | None) -> dict[str, Any]:
    """Return the settings of an adapter that make its costs others than those of its method with default settings.

    Options are not among them (`has_other_costs`). alpha and, without a weight, the form of the balance term cost nothing.

    Args:
        settings: The stored settings.
        gate_sum: What the gate weights of its method sum to by default; None if that is unknown or there are none.
    """
    values = with_gate_sum(settings)
    found = {key: values[key] for key in ("gate_sum",) if values.get(key) not in (None, gate_sum)}
    found |= {key: values[key] for key, default in _DEFAULTS.items() if values.get(key) not in (None, default)}
    form = values.get("balance_form")
    return found | ({"balance_form": form} if "balance_weight" in found and form not in (None, "centred") else {})


def measured_name(method: str, settings: Mapping[str, Any]) -> str:
    """Return the name of a method with settings of its own in ``cme bench adapters``.

    Args:
        method: The adapter method.
        settings: Its settings that change its costs (`costly_settings`).

    Example:
        >>> measured_name("teamlora", {"gate_sum": 1, "competition": False})
        'teamlora:gate_sum=1:competition=false'
    """
    words = [method]
    for key, value in settings.items():
        # Sums other than 1 that are numbers have the earlier name only.
        key = "gate_scale" if key == "gate_sum" and not isinstance(value, str) and value != 1 else key
        words.append(f"{key}={_text(value)}")
    return ":".join(words)


def _text(value: object) -> str:
    """Return a value as YAML reads it, where a number such as 1e-05 is a text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return format(Decimal(repr(value)), "f") if isinstance(value, float) else str(value)


def recorded_ranks(method: str, ranks: str) -> str | None:
    """Return what the record of a run stores about the ranks of a method; None if the name implies it.

    Args:
        method: The adapter method.
        ranks: To which experts its ranks belong: ``own``, ``shared`` or ``single`` (`cme.adapters.Method`).
    """
    return None if ranks == _RANKS.get(method, "own") else ranks


def ranks_of(method: str | None, recorded: str | None) -> str:
    """Return to which experts the ranks of a row belong.

    Args:
        method: The adapter method; None for a base.
        recorded: What its record stores; None if it stores nothing.
    """
    return recorded or _RANKS.get(str(method), "own")


def method_label(method: str, options: Mapping[str, Any]) -> str:
    """Return the name of an adapter method in records and tables.

    For the method ``peft``, variants of LoRA have their own names (``dora``, ``rslora``, ``pissa``). Other PEFT types have the
    name of the type (``miss``).
    """
    if method != "peft":
        return method
    kind = str(options.get("peft_type", "")).lower()
    if kind != "lora":
        return kind
    start = options.get("init_lora_weights")
    variants = [name for name in ("dora", "rslora") if options.get(f"use_{name}")]
    variants += [start] if isinstance(start, str) else []
    return "-".join(variants) or kind


def with_gate_sum(settings: Mapping[str, Any]) -> dict[str, Any]:
    """An adapter's stored settings with ``gate_sum``, also where they were stored under its earlier name ``gate_scale``.

    A sum that only the earlier name could express (0.5, say) is given as that number.
    """
    values = dict(settings)
    if "gate_scale" in values:
        scale = values.pop("gate_scale")
        values["gate_sum"] = 1 if scale == 1 else scale
    return values
