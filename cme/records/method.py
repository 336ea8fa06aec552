"""Names of adapter methods in records and tables."""

from collections.abc import Mapping
from typing import Any

__all__ = [
    "RANK_EXPERTS",
    "UNMEASURED",
    "has_other_costs",
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
