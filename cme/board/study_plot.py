"""The figures of a study: the CME average against the varied setting, and the validation loss against the learning rate."""

import itertools
import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cme.board.rows import Row
from cme.records import Entry, GridRun
from cme.stats import Estimate

__all__ = ["Point", "StudyRow", "draw", "draw_rates", "grid_runs"]

# Colour-blind safe (Okabe and Ito), and with markers that differ in grey. Their numbers differ, so that no pair repeats soon.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#555555")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")


_Interval = tuple[float, float | None, float | None]
"""An average, and the ends of its interval."""


@dataclass(frozen=True)
class StudyRow:
    """A row of a study with its score.

    Attributes:
        row: the row.
        entry: its entry.
        score: CME average with its interval.
        soft: soft average with its interval; None without one.
        same_as: name of the row with the same trainings, or None.
    """

    row: Row
    entry: Entry
    score: Estimate
    soft: Estimate | None = None
    same_as: str | None = None


@dataclass(frozen=True)
class Point:
    """An average that is reported for the paper.

    Attributes:
        method: adapter method.
        values: values of the varied settings.
        average: the reported average, 0 to 100.
    """

    method: str
    values: tuple[Any, ...]
    average: float


def grid_runs(entry: Entry) -> dict[float, GridRun]:
    """Return the runs of the grid of a row by learning rate. A row with the rate of its method has none."""
    return {run.learning_rate: run for run in entry.lr_grid.runs} if entry.lr_grid else {}


def draw(
    name: str,
    keys: Sequence[str],
    rows: Sequence[StudyRow],
    lines: Sequence[tuple[str, float]] = (),
    reported: Sequence[Point] = (),
    reported_title: str = "",
) -> Any:
    """Draw the averages of a study, one line per method.

    With one varied setting of positive numbers, the horizontal axis is logarithmic. Otherwise each combination of values has its
    own place. What is reported for the paper has a panel of its own, because its base and its data are others.

    Args:
        name: name of the study.
        keys: the varied settings.
        rows: the rows.
        lines: labels and averages of horizontal lines, such as that of tuned LoRA.
        reported: averages that are reported for the paper.
        reported_title: title of their panel.

    Returns:
        A matplotlib figure.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.4 if reported else 6.4, 3.8), layout="constrained")
    panels = figure.subplots(1, 2) if reported else [figure.subplots()]
    measured = [
        (str(item.row.method_row), _values(keys, item), (item.score.value, item.score.low, item.score.high))
        for item in rows
    ]
    methods = list(dict.fromkeys(method for method, _, _ in measured))
    places = list(dict.fromkeys(values for _, values, _ in measured))
    _panel(panels[0], keys, measured, methods, places)
    for number, (label, value) in enumerate(lines):
        panels[0].axhline(
            value, color="#333333", linewidth=1.2, linestyle=(0, (8, 3 + 3 * number)), label=label, zorder=0
        )
    panels[0].set_ylabel("CME average")
    panels[0].set_title(f"Study: {name}", fontsize=10)
    panels[0].legend(frameon=False, fontsize=8)
    if reported:
        # A reported method has the colour of the first row of this method.
        row_of = {item.row.adapter.method: str(item.row.method_row) for item in reversed(rows)}
        given = [(row_of[point.method], point.values, (point.average, None, None)) for point in reported]
        # What both have is in the same order.
        own = {point.values for point in reported}
        order = [values for values in places if values in own] + [
            values for values in dict.fromkeys(point.values for point in reported) if values not in places
        ]
        _panel(panels[1], keys, given, methods, order)
        panels[1].set_ylabel("reported average")
        panels[1].set_title(textwrap.fill(reported_title, 48), fontsize=10)
        # The same span, so that equal differences look equal.
        (low, high), (least, most) = (panel.get_ylim() for panel in panels)
        span = max(high - low, most - least)
        for panel, middle in zip(panels, ((low + high) / 2, (least + most) / 2), strict=True):
            panel.set_ylim(middle - span / 2, middle + span / 2)
    return figure


def draw_rates(name: str, keys: Sequence[str], rows: Sequence[StudyRow]) -> Any:
    """Draw the validation loss against the learning rate: one panel per method, one line per value of the varied settings.

    Args:
        name: name of the study.
        keys: the varied settings.
        rows: the rows. Those without a grid are left out.

    Returns:
        A matplotlib figure.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure
    from matplotlib.ticker import ScalarFormatter

    shown = [item for item in rows if grid_runs(item.entry)]
    methods = list(dict.fromkeys(item.row.method_row for item in shown))
    values = list(dict.fromkeys(_values(keys, item) for item in shown))
    figure = Figure(figsize=(3.6 + 2.6 * len(methods), 3.4), layout="constrained")
    panels = figure.subplots(1, len(methods), sharey=True, squeeze=False)[0]
    for panel, method in zip(panels, methods, strict=True):
        for item in shown:
            if item.row.method_row != method:
                continue
            number = values.index(_values(keys, item))
            runs, colour = grid_runs(item.entry).values(), colormaps["viridis"](0.9 * number / max(len(values) - 1, 1))
            panel.plot(
                [run.learning_rate for run in runs],
                [math.nan if run.validation_loss is None else run.validation_loss for run in runs],
                linewidth=1.3, markersize=4, color=colour, marker=_MARKERS[number % len(_MARKERS)],
                label=_place(keys, values[number], ", "),
            )  # fmt: skip
            diverged = [run.learning_rate for run in runs if run.validation_loss is None]
            # At the upper edge, one below the other.
            height = 0.98 - 0.04 * number
            panel.plot(
                diverged, [height] * len(diverged), linestyle="", marker="x", markersize=5, color=colour,
                transform=panel.get_xaxis_transform(), gid="diverged",
            )  # fmt: skip
        rates = sorted({rate for item in shown for rate in grid_runs(item.entry)})
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.set_xticks(rates, [f"{rate:g}" for rate in rates])
        panel.set_xticks([], minor=True)
        panel.tick_params("x", labelrotation=90 if len(rates) > 5 else 0)
        panel.set_xlabel("learning rate")
        panel.set_title(method, fontsize=10)
        _open(panel)
    panels[0].set_ylabel("validation loss")
    for which in (panels[0].yaxis.set_major_formatter, panels[0].yaxis.set_minor_formatter):
        which(ScalarFormatter())
    handles = {line.get_label(): line for panel in panels for line in panel.lines if line.get_gid() != "diverged"}
    figure.legend(handles.values(), handles, loc="outside right center", frameon=False, fontsize=8)
    crosses = any(run.validation_loss is None for item in shown for run in grid_runs(item.entry).values())
    figure.suptitle(
        f"Learning rates of the study {name}" + (" (a cross: training diverged)" if crosses else ""), fontsize=10
    )
    return figure


def _panel(
    panel: Any,
    keys: Sequence[str],
    points: Sequence[tuple[str, tuple[Any, ...], _Interval]],
    methods: Sequence[str],
    places: Sequence[tuple[Any, ...]],
) -> None:
    """Draw averages: for each point a method, the values of the varied settings, and the average with its interval."""
    numeric = len(keys) == 1 and all(_is_number(value) and value > 0 for (value,) in places)
    drawn = [method for method in methods if any(of == method for of, _, _ in points)]
    ticks = sorted(value for (value,) in places) if numeric else []
    # Points of several methods stand beside each other, because their intervals would cover each other. They never stand beside
    # those of another value.
    gaps = [math.log2(after / before) for before, after in itertools.pairwise(ticks)]
    step = min([0.03, *(gap / (3 * len(drawn)) for gap in gaps)]) if numeric else 0.12
    for method in drawn:
        own = sorted((item for item in points if item[0] == method), key=lambda item: places.index(item[1]))
        if numeric:
            own.sort(key=lambda item: item[1])
        shift = step * (drawn.index(method) - (len(drawn) - 1) / 2)
        scores = [score for _, _, score in own]
        low = [value - low for value, low, _ in scores if low is not None]
        high = [high - value for value, _, high in scores if high is not None]
        number = methods.index(method)
        panel.errorbar(
            [values[0] * 2**shift if numeric else places.index(values) + shift for _, values, _ in own],
            [value for value, _, _ in scores],
            yerr=[low, high] if len(low) == len(high) == len(own) else None,
            fmt=_MARKERS[number % len(_MARKERS)] + ("-" if numeric else ""), color=_COLOURS[number % len(_COLOURS)],
            capsize=3, markersize=4, linewidth=1.3, label=method,
        )  # fmt: skip
    if numeric:
        panel.set_xscale("log", base=2)
        panel.set_xticks(ticks, [f"{value:g}" for value in ticks])
        panel.set_xticks([], minor=True)
        panel.set_xlabel(keys[0].replace("_", " "))
    else:
        width = max(12, 44 // len(places))
        texts = [_place(keys, values, "\n").split("\n") for values in places]
        wrapped = ["\n".join(textwrap.fill(line, width) for line in lines) for lines in texts]
        panel.set_xticks(range(len(places)), wrapped, fontsize=8)
        panel.margins(x=0.15)
    _open(panel)


def _values(keys: Sequence[str], item: StudyRow) -> tuple[Any, ...]:
    return tuple(_fixed(item.row.values[key]) for key in keys)


def _fixed(value: Any) -> Any:
    """Return a value that can be compared and looked up: lists become tuples, and mappings the texts of their items."""
    if isinstance(value, Mapping):
        return tuple(f"{key}={item}" for key, item in value.items())
    return tuple(map(_fixed, value)) if isinstance(value, list | tuple) else value


def _place(keys: Sequence[str], values: Sequence[Any], between: str) -> str:
    return between.join(f"{key.replace('_', ' ')}: {_word(item)}" for key, item in zip(keys, values, strict=True))


def _open(panel: Any) -> None:
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _word(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)
