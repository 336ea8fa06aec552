"""Markdown tables and figures of measurements."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cme.extras import need
from cme.files import atomic_path

__all__ = ["markdown_table", "write_figure"]


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format a Markdown table, without a line break at its end."""
    ruler = ["---"] * len(columns)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (columns, ruler, *rows))


def write_figure(draw: Callable[[], Any], path: Path) -> None:
    """Draw a matplotlib figure and write it. Equal figures give bitwise identical files.

    Args:
        draw: The function that draws the figure.
        path: The file. Its suffix is ``.svg`` or ``.png``.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    matplotlib = need("matplotlib", extra="plots", for_=f"Drawing {path.name}")
    with matplotlib.rc_context({"svg.hashsalt": "cme", "svg.fonttype": "none", "font.size": 8}):
        extra = {"Date": None, "Creator": None} if path.suffix == ".svg" else {"Software": None}
        with atomic_path(path) as temporary:
            draw().savefig(temporary, format=path.suffix[1:], dpi=160, metadata=extra)
