"""The figures of a study: the CME average against the varied setting, and the validation loss against the learning rate."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cme.board.rows import Row
from cme.records import Entry, GridRun
from cme.stats import Estimate

__all__ = ["Point", "StudyRow", "draw", "draw_rates", "grid_runs"]

# Colour-blind safe (Okabe and Ito), and with markers that differ in grey.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#555555")
_MARKERS = ("o", "s", "^", "D", "v", "P")


_Interval = tuple[float, float | None, float | None]
"""An average, and the ends of its interval."""


@dataclass(frozen=True)
class StudyRow:
    """A row of a study with its score.

    Attributes:
        row: the row.
        entry: its entry.
        score: CME average with its interval.
    """

    row: Row
    entry: Entry
    score: Estimate


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
    reported_base: str = "",
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
        reported_base: base of the reported averages.

    Returns:
        A matplotlib figure.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6 if reported else 6.4, 3.8), layout="constrained")
    panels = figure.subplots(1, 2, width_ratios=[3, 2]) if reported else [figure.subplots()]
    measured = [
        (str(item.row.method_row), _values(keys, item), (item.score.value, item.score.low, item.score.high))
        for item in rows
    ]
    methods = list(dict.fromkeys(method for method, _, _ in measured))
    _panel(panels[0], keys, measured, methods)
    for number, (label, value) in enumerate(lines):
        panels[0].axhline(
            value, color="#333333", linewidth=1.2, linestyle=(0, (8, 3 + 3 * number)), label=label, zorder=0
        )
    panels[0].set_ylabel("CME average")
    panels[0].set_title(f"Study: {name}")
    panels[0].legend(frameon=False)
    if reported:
        # A reported method has the colour of the first row of this method.
        row_of = {item.row.adapter.method: str(item.row.method_row) for item in reversed(rows)}
        given = [(row_of[point.method], point.values, (point.average, None, None)) for point in reported]
        _panel(panels[1], keys, given, methods)
        panels[1].set_ylabel("reported average")
        panels[1].set_title(f"Reported for {reported_base}, without intervals")
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

    shown = [item for item in rows if grid_runs(item.entry)]
    methods = list(dict.fromkeys(item.row.method_row for item in shown))
    values = list(dict.fromkeys(_values(keys, item) for item in shown))
    figure = Figure(figsize=(1.2 + 2.9 * len(methods), 3.2), layout="constrained")
    panels = figure.subplots(1, len(methods), sharey=True, squeeze=False)[0]
    for panel, method in zip(panels, methods, strict=True):
        for item in shown:
            if item.row.method_row != method:
                continue
            number = values.index(_values(keys, item))
            runs = [run for run in grid_runs(item.entry).values() if run.validation_loss is not None]
            panel.plot(
                [run.learning_rate for run in runs], [run.validation_loss for run in runs], linewidth=1.3, markersize=4,
                color=colormaps["viridis"](0.9 * number / max(len(values) - 1, 1)), marker=_MARKERS[number % len(_MARKERS)],
                label=_place(keys, values[number], ", "),
            )  # fmt: skip
        rates = sorted({rate for item in shown for rate in grid_runs(item.entry)})
        panel.set_xscale("log")
        panel.set_xticks(rates, [f"{rate:g}" for rate in rates])
        panel.set_xticks([], minor=True)
        panel.set_xlabel("learning rate")
        panel.set_title(method)
        panel.legend(frameon=False)
        _open(panel)
    panels[0].set_ylabel("validation loss")
    figure.suptitle(f"Learning rates of the study {name}")
    return figure


def _panel(
    panel: Any, keys: Sequence[str], points: Sequence[tuple[str, tuple[Any, ...], _Interval]], methods: Sequence[str]
) -> None:
    """Draw averages: for each point a method, the values of the varied settings, and the average with its interval."""
    places = list(dict.fromkeys(values for _, values, _ in points))
    numeric = len(keys) == 1 and all(_is_number(value) and value > 0 for (value,) in places)
    drawn = [method for method in methods if any(of == method for of, _, _ in points)]
    for method in drawn:
        own = sorted((item for item in points if item[0] == method), key=lambda item: places.index(item[1]))
        if numeric:
            own.sort(key=lambda item: item[1])
        # Points of several methods stand beside each other, so that their intervals can be told apart.
        shift = drawn.index(method) - (len(drawn) - 1) / 2
        scores = [score for _, _, score in own]
        low = [value - low for value, low, _ in scores if low is not None]
        high = [high - value for value, _, high in scores if high is not None]
        number = methods.index(method)
        panel.errorbar(
            [values[0] * 2 ** (0.03 * shift) if numeric else places.index(values) + 0.12 * shift for _, values, _ in own],
            [value for value, _, _ in scores],
            yerr=[low, high] if len(low) == len(high) == len(own) else None,
            fmt=_MARKERS[number % len(_MARKERS)] + ("-" if numeric else ""), color=_COLOURS[number % len(_COLOURS)],
            capsize=3, markersize=4, linewidth=1.3, label=method,
        )  # fmt: skip
    if numeric:
        panel.set_xscale("log", base=2)
        ticks = sorted(value for (value,) in places)
        panel.set_xticks(ticks, [f"{value:g}" for value in ticks])
        panel.set_xticks([], minor=True)
        panel.set_xlabel(keys[0].replace("_", " "))
    else:
        panel.set_xticks(range(len(places)), [_place(keys, values, "\n") for values in places])
        panel.margins(x=0.15)
    _open(panel)


def _values(keys: Sequence[str], item: StudyRow) -> tuple[Any, ...]:
    values = (item.row.values[key] for key in keys)
    return tuple(tuple(value) if isinstance(value, list) else value for value in values)


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
