"""A figure of the ratios and the growth of a report."""

from pathlib import Path
from typing import Any

from benchmarks.evaluation.report import EvalReport
from cme.reports import write_figure

__all__ = ["draw", "save"]

_COLOURS = {
    "options of one token": "#1b6ca8",
    "options of several tokens": "#c8553d",
    "texts": "#3f8f4f",
}
_LINES = (("stock", "lm-eval", "#555555"), ("engine", "cme", "#1b6ca8"))


def draw(report: EvalReport) -> Any:
    """Draw the ratio of times for every dataset and, if measured, the time by number of rows and by number of options.

    Returns:
        A matplotlib figure.
    """
    from matplotlib.figure import Figure

    axes = list(dict.fromkeys(point.axis for point in report.growth))
    height = max(2.6, 1.4 + 0.2 * len(report.datasets))
    figure = Figure(figsize=(4.4 + 2.6 * len(axes), height), layout="constrained")
    panels = figure.subplots(1, 1 + len(axes), squeeze=False, width_ratios=[1.6, *[1] * len(axes)])[0]
    _ratios(panels[0], report)
    for panel, axis in zip(panels[1:], axes, strict=True):
        _growth(panel, report, axis)
    for panel in panels:
        panel.grid(color="0.92", linewidth=0.6)
        panel.set_axisbelow(True)
        for side in ("top", "right"):
            panel.spines[side].set_visible(False)
    place = report.surroundings
    figure.suptitle(f"lm-eval and CME: {place.base}, {place.dtype}, {place.hardware}, torch threads {place.threads}")
    return figure


def save(report: EvalReport, path: Path) -> None:
    """Write the figure. See `write_figure`."""
    write_figure(lambda: draw(report), path)


def _ratios(panel: Any, report: EvalReport) -> None:
    from matplotlib.lines import Line2D

    panel.axvline(1, color="0.7", linewidth=1, zorder=0)
    for row, cost in enumerate(report.datasets):
        panel.plot([1, cost.ratio], [row, row], color=_COLOURS[cost.answers], linewidth=1, alpha=0.5)
        panel.plot([cost.ratio], [row], color=_COLOURS[cost.answers], marker="o", markersize=4)
    panel.set_yticks(range(len(report.datasets)), [cost.dataset for cost in report.datasets])
    panel.invert_yaxis()
    panel.set_xlabel("lm-eval's time / CME's")
    groups = [name for name in _COLOURS if any(cost.answers == name for cost in report.datasets)]
    marks = [Line2D([], [], color=_COLOURS[name], marker="o", linestyle="", label=name) for name in groups]
    panel.set_xlim(left=0)
    panel.figure.legend(handles=marks, loc="outside lower left", ncols=len(marks), frameon=False)


def _growth(panel: Any, report: EvalReport, axis: str) -> None:
    points = [point for point in report.growth if point.axis == axis]
    for side, label, colour in _LINES:
        values = [getattr(point, side) for point in points]
        panel.plot([point.size for point in points], values, color=colour, marker="o", markersize=3, label=label)
    panel.set_xlim(left=0)
    panel.set_ylim(bottom=0)
    rows = "" if axis == "rows" else f", {points[0].rows} rows"
    panel.set_xlabel(f"{axis} ({points[0].dataset}{rows})")
    panel.set_ylabel("seconds")
    panel.legend(frameon=False)
