"""What an adapter is called in records and tables."""

from collections.abc import Mapping
from typing import Any

__all__ = ["UNMEASURED", "method_label", "with_gate_sum"]

UNMEASURED = ("peft", "full")
"""Methods without one cost: ``peft`` is whatever its options say, ``full`` has no adapter."""


def method_label(method: str, options: Mapping[str, Any]) -> str:
    """What the adapter is called in records and tables: ``peft`` alone says nothing.

    LoRA's variants go by their own names (``dora``, ``rslora``, ``pissa``), other types by theirs (``miss``).
    """
    if method != "peft":
        return method
    kind = str(options.get("peft_type", "")).lower()
    if kind != "lora":
        return kind
    start = options.get("init_lora_weights")
    found = [name for name in ("dora", "rslora") if options.get(f"use_{name}")]
    found += [start] if isinstance(start, str) else []
    return "-".join(found) or kind


def with_gate_sum(settings: Mapping[str, Any]) -> dict[str, Any]:
    """An adapter's stored settings with ``gate_sum``, also where they were stored under its earlier name ``gate_scale``.

    A sum that only the earlier name could express (0.5, say) is given as that number.
    """
    values = dict(settings)
    if "gate_scale" in values:
        scale = values.pop("gate_scale")
        values["gate_sum"] = 1 if scale == 1 else scale
    return values
