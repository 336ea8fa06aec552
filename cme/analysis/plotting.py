"""Colours, markers and helpers of all figures of an analysis."""

from typing import Any

import numpy as np

__all__ = ["COLOURS", "GREY", "MARKERS", "base_line", "error_lengths", "plain_axes"]

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
"""The palette of M. Okabe and K. Ito, Color Universal Design (2008), for colour-blind readers."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
"""Markers of the experts, so that a figure is readable without colours."""

GREY = "#555555"
"""Colour of references."""


def error_lengths(items: Any) -> Any:
    """Return the lengths of the error bars of values with intervals, [2, n], or None without intervals."""
    if any(item.low is None for item in items):
        return None
    return np.array([[item.value - item.low for item in items], [item.high - item.value for item in items]])


def plain_axes(axes: Any) -> None:
    """Remove the upper and the right frame."""
    axes.spines[["top", "right"]].set_visible(False)


def base_line(axes: Any, value: float) -> None:
    """Draw a dashed vertical line at the value of the base, with its name at the upper end."""
    axes.axvline(value, color=GREY, lw=0.8, ls="--")
    axes.annotate(
        "base",
        (value, 1),
        xycoords=("data", "axes fraction"),
        xytext=(2, -2),
        textcoords="offset points",
        color=GREY,
        va="top",
    )
