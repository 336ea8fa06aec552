"""Numbers as tables show them, with fixed decimals: a changed number is a changed cell, and nothing else is."""

from typing import Any

from cme.stats import Estimate, RankRange

__all__ = [
    "ABSENT",
    "duration",
    "estimate",
    "gib",
    "interval",
    "listing",
    "millions",
    "p_value",
    "points",
    "ranks",
    "ratio",
    "rounded",
    "shown",
]

ABSENT = "–"
"""Stands where there is no number."""

_SMALLEST_P = 1e-4


def rounded(value: float | None) -> float | None:
    """A statistic as files hold it, with six decimals: other processors differ in the last bits, and files must not."""
    return None if value is None else round(value, 6)


def points(value: float | None) -> str:
    """A number with two decimals."""
    return ABSENT if value is None else f"{value:.2f}"


def interval(value: float | None, low: float | None, high: float | None) -> str:
    """A value with its confidence interval, ``57.10 [55.20, 59.01]``; the value alone where there is none."""
    return points(value) if value is None or low is None or high is None else f"{value:.2f} [{low:.2f}, {high:.2f}]"


def estimate(found: Estimate | None) -> str:
    """A score with its confidence interval."""
    return ABSENT if found is None else interval(found.value, found.low, found.high)


def ratio(values: tuple[float, float | None, float | None] | None) -> str:
    """A ratio, with its interval where there is one; LoRA's own is 1 and has none."""
    if values is None:
        return ABSENT
    value, low, high = values
    return points(value) if low == high else interval(value, low, high)


def ranks(found: RankRange | None) -> str:
    """A range of ranks, ``1–3``; one number where both ends are the same."""
    if found is None:
        return ABSENT
    return str(found.best) if found.best == found.worst else f"{found.best}–{found.worst}"


def p_value(value: float) -> str:
    """Four decimals, never 0."""
    return f"≤ {_SMALLEST_P:.4f}" if value < _SMALLEST_P else f"{value:.4f}"


def millions(count: float | None) -> str:
    """A count in millions, two decimals."""
    return ABSENT if count is None else f"{count / 1e6:.2f}"


def gib(count: float | None) -> str:
    """Bytes in GiB, two decimals."""
    return ABSENT if count is None else f"{count / 2**30:.2f}"


def duration(seconds: float | None) -> str:
    """Hours and minutes from one hour on, minutes and seconds below: ``29:05 h``, ``4:07 min``."""
    if seconds is None:
        return ABSENT
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    minutes = round(seconds / 60)
    return f"{minutes // 60}:{minutes % 60:02d} h"


def shown(value: Any) -> str:
    """A setting of whatever type."""
    if value is None:
        return ABSENT
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list | tuple):
        return ", ".join(map(shown, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def listing(names: list[str], most: int = 8) -> str:
    """Names in a sentence; of many, the first few and how many more."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
