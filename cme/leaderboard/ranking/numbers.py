"""Number formats of the tables. Fixed decimals keep unchanged cells identical between versions of a board."""

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
    "nats",
    "p_value",
    "points",
    "ranks",
    "ratio",
    "rounded",
    "shown",
]

ABSENT = "–"
"""Text of a cell without a number."""

_SMALLEST_P = 1e-4


def rounded(value: float | None) -> float | None:
    """Round a statistic to six decimals, so that files are identical on processors that differ in the last bits."""
    return None if value is None else round(value, 6)


def points(value: float | None) -> str:
    """Format a number with two decimals. A negative number that rounds to zero has no sign."""
    return ABSENT if value is None else f"{value:z.2f}"


def interval(value: float | None, low: float | None, high: float | None) -> str:
    """Format a value with its confidence interval, such as ``57.10 [55.20, 59.01]``, or alone if it has none."""
    return points(value) if value is None or low is None or high is None else f"{value:z.2f} [{low:z.2f}, {high:z.2f}]"


def estimate(score: Estimate | None) -> str:
    """Format a score with its confidence interval."""
    return ABSENT if score is None else interval(score.value, score.low, score.high)


def ratio(values: tuple[float, float | None, float | None] | None) -> str:
    """Format a ratio with its interval. LoRA's own ratio is 1 and has no interval."""
    if values is None:
        return ABSENT
    value, low, high = values
    return points(value) if low == high else interval(value, low, high)


def ranks(span: RankRange | None) -> str:
    """Format a rank range, such as ``1–3``, as one number if both ends are equal."""
    if span is None:
        return ABSENT
    return str(span.best) if span.best == span.worst else f"{span.best}–{span.worst}"


def nats(value: float | None, stderr: float | None, *, signed: bool = False) -> str:
    """Format a value in nats per token with four decimals and its standard error, such as ``0.0521 ± 0.0013``."""
    if value is None or stderr is None:
        return ABSENT
    return f"{value:{'+' if signed else ''}z.4f} ± {stderr:.4f}"


def p_value(value: float) -> str:
    """Format a p-value with four decimals; values that would round to 0 are shown as a bound."""
    return f"≤ {_SMALLEST_P:.4f}" if value < _SMALLEST_P else f"{value:.4f}"


def millions(count: float | None) -> str:
    """Format a count in millions with two decimals."""
    return ABSENT if count is None else f"{count / 1e6:.2f}"


def gib(count: float | None) -> str:
    """Format a number of bytes in GiB with two decimals."""
    return ABSENT if count is None else f"{count / 2**30:.2f}"


def duration(seconds: float | None) -> str:
    """Format a duration as hours and minutes (``29:05 h``), or below one hour as minutes and seconds (``4:07 min``)."""
    if seconds is None:
        return ABSENT
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    minutes = round(seconds / 60)
    return f"{minutes // 60}:{minutes % 60:02d} h"


def shown(value: Any) -> str:
    """Format a setting of any type."""
    if value is None:
        return ABSENT
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list | tuple):
        return ", ".join(map(shown, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def listing(names: list[str], most: int = 8) -> str:
    """List names in a sentence, shortened to the first ``most`` names and the number of the others."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
