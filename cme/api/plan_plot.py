"""A figure of a plan: the detectable difference by samples and seeds."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cme.errors import UsageError
from cme.reports import write_figure

if TYPE_CHECKING:
    from cme.leaderboard.ranking.planning import Planned

__all__ = ["draw", "save"]

_SEEDS = (2, 3, 5, 10)
_SHADES = ("#9ecae1", "#4f9bcb", "#1b6ca8", "#0b3a63")
_BEST = "#c8553d"
_TIERS = {"quick": 64, "standard": 500}
_LEAST = 8


def draw(planned: "Planned") -> Any:
    """Draw the difference that a comparison detects against the samples of each dataset, one line per number of seeds.

    Returns:
        A matplotlib figure.
    """
    from matplotlib.figure import Figure

    parts, most = planned.parts, max(planned.available.values())
    counts = np.unique(np.geomspace(_LEAST, most, 60).round().astype(int))
    figure = Figure(figsize=(6.8, 4.4), layout="constrained")
    panel = figure.subplots()
    best = planned.best
    lines = dict(zip(_SEEDS, _SHADES, strict=True))
    if best is not None:
        # A line next to that of the best plan would hide its name.
        lines = {seeds: shade for seeds, shade in lines.items() if not 0.75 < seeds / best.seeds < 1.35}
        lines[best.seeds] = _BEST
    for seeds, shade in sorted(lines.items()):
        values = [parts.detectable(seeds, parts.samples(int(n), planned.available), planned.power) for n in counts]
        panel.plot(counts, values, color=shade, linewidth=1.8)
        _name(panel, f"{seeds} seeds", counts[-1], values[-1], shade)
    alone = [parts.detectable(1, parts.samples(int(n), planned.available), planned.power) for n in counts]
    panel.plot(counts, alone, color="0.45", linewidth=1.2, linestyle="--")
    _name(panel, "two adapters,\nnot their methods", counts[-1], alone[-1], "0.35")
    panel.axhline(planned.difference, color="0.6", linewidth=0.8, zorder=0)
    title = f"Detectable difference of two methods at a power of {100 * planned.power:g} %"
    if best is not None and best.each is not None:
        panel.plot([best.each], [planned.difference], "o", color=_BEST, markersize=6, zorder=5)
        title += f"\ncheapest for {planned.difference:g} points (dot): {best.seeds} seeds × {best.each:,} samples per dataset"
    figure.suptitle(title)
    panel.set_xscale("log")
    panel.set_yscale("log")
    for tier, count in _TIERS.items():
        panel.axvline(count, color="0.88", linewidth=1, zorder=0)
        panel.text(count, 1.005, tier, transform=panel.get_xaxis_transform(), ha="center", va="bottom", color="0.4")
    ticks = [value for value in (0.2, 0.5, 1, 2, 5, 10, 20, 50) if panel.get_ylim()[0] <= value <= panel.get_ylim()[1]]
    panel.set_yticks(ticks, [f"{value:g}" for value in ticks])
    panel.set_yticks([], minor=True)
    panel.set_xlabel("samples per dataset, or all where a dataset has fewer")
    panel.set_xticks([10, 100, 1_000, 10_000], ["10", "100", "1,000", "10,000"])
    panel.set_ylabel("difference in points")
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
    return figure


def _name(panel: Any, text: str, x: float, y: float, colour: str) -> None:
    """Write the name of a line at its right end."""
    panel.annotate(text, (x, y), textcoords="offset points", xytext=(5, 0), va="center", color=colour)


def save(planned: "Planned", path: Path) -> None:
    """Write the figure as SVG or PNG, by the suffix of the path. Equal plans give bitwise identical files.

    Raises:
        UsageError: the suffix is another one.
        MissingExtraError: matplotlib is not installed.
    """
    if path.suffix not in (".svg", ".png"):
        raise UsageError(f"the figure {path} has no suffix .svg or .png. Give one of them.")
    write_figure(lambda: draw(planned), path)
