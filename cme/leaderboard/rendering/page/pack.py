"""Values as text that a page can hold: JSON, and of many numbers little-endian bytes in base64."""

import base64
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cme.stats import Comparison

__all__ = ["bits", "floats", "json_for_html", "pack_pairs", "quantised"]


def json_for_html(value: Any) -> str:
    """JSON that may stand in a ``<script>`` element: nothing in it can end the element or start a comment.

    Args:
        value: JSON values without NaN.
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def floats(values: Sequence[float]) -> str:
    """Numbers as float32: seven digits."""
    return _base64(np.asarray(values, dtype="<f4"))


def bits(values: Sequence[bool]) -> str:
    """Truth values, eight to the byte, the first in the lowest bit."""
    return _base64(np.packbits(np.asarray(values, dtype=bool), bitorder="little"))


def quantised(scores: NDArray[np.float64]) -> str:
    """Scores in [0, 1] as whole numbers from 0 to 255: wrong is 0, right is 255."""
    return _base64(np.rint(255 * np.clip(scores, 0.0, 1.0)).astype(np.uint8))


def pack_pairs(comparison: Comparison) -> dict[str, Any]:
    """Every paired difference, in the order of the comparison's rows: (0, 1), (0, 2), …, (1, 2), ….

    Returns:
        For each pair half of its interval (before it is cut to the range of the scores, −100 to 100) and Holm's p, as
        float32 of what was rounded to six decimals, and whether it is significant, as bits. The difference itself is that
        of the two averages.
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
