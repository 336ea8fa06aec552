"""Choosing the rank of a method for a budget of trainable parameters, because equal ranks do not mean equal sizes."""

import re
from collections.abc import Mapping
from typing import Any

from cme.adapters.config_check import config_problem
from cme.adapters.methods import METHODS
from cme.adapters.params import ParameterCount, count
from cme.adapters.read_settings import settings_from
from cme.adapters.settings import AdapterSettings
from cme.errors import UsageError

__all__ = ["match_rank"]

_RANKS = 1_024
"""The lowest possible rank of a method is searched up to this one."""


def match_rank(base: Any, values: Mapping[str, Any], budget: str) -> tuple[AdapterSettings, ParameterCount]:
    """Find the largest rank (of ONE expert, for methods with experts) with which the adapter stays within a budget.

    Args:
        base: The base, as for `cme.adapters.params.count`.
        values: The adapter's settings as for `settings_from`, without ``rank``.
        budget: A share of the base's parameters such as ``"1.35%"``, a number of parameters such as ``"95,000,000"``, or
            a method and its rank such as ``"lora:128"``, with its default settings and the same target modules.

    Returns:
        The settings with that rank, and their parameter count.

    Raises:
        UsageError: The budget cannot be read, the method has no rank, or rank 1 exceeds the budget.
    """

    def at(rank: int) -> tuple[AdapterSettings, ParameterCount]:
        settings = settings_from({**values, "rank": rank})
        return settings, count(base, settings)

    method = values.get("method")
    if isinstance(method, str) and method in METHODS and "rank" not in METHODS[method].settings:
        raise UsageError(f"{method} has no rank that could be chosen for a budget. Leave the budget out.")
    low, high = at(_lowest(values)), None
    most = _parameters(budget, base, values, low[1].total_base)
    if low[1].trainable > most:
        raise UsageError(
            f"{method} at rank {low[0].rank} trains {low[1].trainable:,} parameters ({low[1].share_percent:.4g} %), more than "
            f"the {most:,} of the budget {budget}. Raise the budget, or use fewer experts or target modules."
        )
    while high is None or high[0].rank - low[0].rank > 1:
        tried = at(2 * low[0].rank if high is None else (low[0].rank + high[0].rank) // 2)
        if tried[1].trainable <= low[1].trainable:
            raise UsageError(f"{method} does not train more parameters at a higher rank, so no rank fits a budget.")
        if tried[1].trainable > most:
            high = tried
        else:
            low = tried
    return low


def _lowest(values: Mapping[str, Any]) -> int:
    """Return the lowest rank that the method accepts. If every rank is an expert, a token may need more than one."""
    ranks = range(1, _RANKS + 1)
    return next((rank for rank in ranks if not config_problem(settings_from({**values, "rank": rank}))), 1)


def _parameters(budget: str, base: Any, values: Mapping[str, Any], total: int) -> int:
    text = budget.replace(",", "").replace("_", "").strip()
    if re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*%", text):
        return int(total * float(text.removesuffix("%")) / 100)
    if text.isdecimal():
        return int(text)
    method, colon, rank = budget.strip().partition(":")
    if colon and rank.isdecimal():
        other: dict[str, Any] = {"method": method, "rank": int(rank)}
        if targets := values.get("target_modules"):
            other["target_modules"] = targets
        return count(base, settings_from(other, f"budget {budget}")).trainable
    raise UsageError(
        f"{budget!r} is not a valid parameter budget. Give a share of the base (1.35%), a number (95000000), or another "
        f"method and its rank (lora:128). Methods: {', '.join(METHODS)}."
    )
