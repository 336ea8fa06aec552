"""A figure of the time ratios of a report."""

from pathlib import Path
from typing import Any

from cme.bench.adapters.ratios import LEVEL, Ratio
from cme.bench.adapters.report import AdapterReport
from cme.bench.adapters.settings import BASE
from cme.reports import write_figure

__all__ = ["draw", "save"]

_COLOURS = {"fused": "#1b6ca8", "loop": "#c8553d", "plain": "#555555"}
_REFERENCES = (("lora", "LoRA's"), (BASE, "the base's"))


def draw(report: AdapterReport) -> Any:
    """Draw the time of every case divided by that of LoRA (or of the base), with intervals and one panel per mode.

    Returns:
        A matplotlib figure.

    Raises:
        ValueError: The report contains neither LoRA nor the base, so it has no ratios.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    names = [case.name for case in report.cases]
    name, whose = next(((name, whose) for name, whose in _REFERENCES if name in names), ("", ""))
    if not name:
        raise ValueError("the report contains neither LoRA nor the base, so it has no ratios to draw.")
    cases = [case for case in report.cases if case.name != name]
    modes = report.settings.modes
    figure = Figure(figsize=(2.4 + 2.6 * len(modes), 1.8 + 0.28 * len(cases)), layout="constrained")
    panels = figure.subplots(1, len(modes), sharey=True, squeeze=False)[0]
    for panel, mode in zip(panels, modes, strict=True):
        panel.axvline(1, color="0.7", linewidth=1, zorder=0)
        for row, case in enumerate(cases):
            if ratio := report.ratio(mode, case.name, name):
                _point(panel, ratio, row, _COLOURS[case.form])
        panel.set_title(mode)
        panel.set_xlabel(f"time / {whose}")
        panel.grid(axis="x", color="0.92", linewidth=0.6)
        panel.set_axisbelow(True)
        for side in ("top", "right"):
            panel.spines[side].set_visible(False)
    panels[0].set_yticks(range(len(cases)), [case.name for case in cases])
    panels[0].invert_yaxis()
    forms = [form for form in ("fused", "loop") if any(case.form == form for case in cases)]
    marks = [Line2D([], [], color=_COLOURS[form], marker="o", linestyle="", label=form) for form in forms]
    if marks:
        figure.legend(handles=marks, loc="outside lower right", ncols=len(marks), frameon=False)
    place = report.surroundings
    figure.suptitle(
        f"Time divided by {whose} at total rank {report.settings.total_rank}, median of {report.settings.rounds} rounds with "
        f"{LEVEL:.0%} interval\n{place.base}, {place.dtype}, {place.hardware}"
    )
    return figure


def save(report: AdapterReport, path: Path) -> None:
    """Write the figure as SVG or PNG, by the suffix of the path. Equal reports give bitwise identical files."""
    write_figure(lambda: draw(report), path)


def _point(panel: Any, ratio: Ratio, row: int, colour: str) -> None:
    middle = ratio.quartiles.median
    if ratio.interval:
        panel.plot([ratio.interval.low, ratio.interval.high], [row, row], color=colour, linewidth=2, alpha=0.6)
    panel.plot([middle], [row], color=colour, marker="o", markersize=4, linestyle="")
