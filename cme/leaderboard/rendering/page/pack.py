"""Encoding of values in the page: JSON, and base64 of little-endian bytes for arrays of numbers."""

import base64
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cme.stats import Comparison

__all__ = ["bits", "floats", "json_for_html", "pack_pairs", "quantised"]


def json_for_html(value: Any) -> str:
    """Encode values as JSON for a ``<script>`` element, so that no text in it can end the element or start a comment.

    Args:
        value: JSON values without NaN.
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def floats(values: Sequence[float]) -> str:
    """Encode numbers as float32, which keeps seven digits."""
    return _base64(np.asarray(values, dtype="<f4"))


def bits(values: Sequence[bool]) -> str:
    """Encode truth values as bits, eight per byte, starting at the lowest bit."""
    return _base64(np.packbits(np.asarray(values, dtype=bool), bitorder="little"))


def quantised(scores: NDArray[np.float64]) -> str:
    """Encode scores in [0, 1] as integers from 0 (wrong) to 255 (right)."""
    return _base64(np.rint(255 * np.clip(scores, 0.0, 1.0)).astype(np.uint8))


def pack_pairs(comparison: Comparison) -> dict[str, Any]:
    """Encode all paired differences, in the order (0, 1), (0, 2), …, (1, 2), … of the comparison's rows.

    Returns:
        For each pair: half the width of its interval before clipping to −100 to 100, and Holm's p, both rounded to six
        decimals and stored as float32; and whether it is significant, as bits. The difference itself is not stored, because it
        is the difference of the two averages.
    """
    items = comparison.differences
    return {
        "rows": list(comparison.rows),
        "alpha": comparison.alpha,
        "resamples": comparison.resamples,
        "half": floats([round(max(item.high - item.value, item.value - item.low), 6) for item in items]),
        "p": floats([round(item.p_adjusted, 6) for item in items]),
        "significant": bits([item.significant for item in items]),
    }


def _base64(array: NDArray[Any]) -> str:
    return base64.b64encode(array.tobytes()).decode("ascii")
