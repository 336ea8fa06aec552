"""The figure of a study: the CME average against the varied setting, with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cme.board.rows import Row
from cme.records import Entry
from cme.stats import Estimate

__all__ = ["StudyRow", "draw"]

_COLOURS = ("#1b6ca8", "#c8553d", "#3b8f5a", "#8b5fa8", "#b58a1b", "#555555")


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


def draw(name: str, keys: Sequence[str], rows: Sequence[StudyRow], lines: Sequence[tuple[str, float]] = ()) -> Any:
    """Draw the averages of a study, one line per method.

    With one varied setting of positive numbers, the horizontal axis is logarithmic. Otherwise each combination of values has its
    own place.

    Args:
        name: name of the study.
        keys: the varied settings.
        rows: the rows.
        lines: labels and averages of horizontal lines, such as that of tuned LoRA.

    Returns:
        A matplotlib figure.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    panel = figure.subplots()
    values = [tuple(item.row.values[key] for key in keys) for item in rows]
    places = list(dict.fromkeys(values))
    numeric = len(keys) == 1 and all(_is_number(value) and value > 0 for (value,) in places)
    methods = list(dict.fromkeys(item.row.method_row for item in rows))
    for number, method in enumerate(methods):
        own = [(value, item.score) for value, item in zip(values, rows, strict=True) if item.row.method_row == method]
        shift = 0.0 if numeric else 0.12 * (number - (len(methods) - 1) / 2)
        x = [value[0] if numeric else places.index(value) + shift for value, _ in own]
        y = [score.value for _, score in own]
        low = [0.0 if score.low is None else score.value - score.low for _, score in own]
        high = [0.0 if score.high is None else score.high - score.value for _, score in own]
        panel.errorbar(
            x, y, yerr=[low, high], fmt="o-" if numeric else "o", color=_COLOURS[number % len(_COLOURS)], capsize=3,
            markersize=4, linewidth=1.3, label=method,
        )  # fmt: skip
    for number, (label, value) in enumerate(lines):
        panel.axhline(value, color="#333333", linewidth=1.2, linestyle=(0, (8, 3 + 3 * number)), label=label, zorder=0)
    if numeric:
        panel.set_xscale("log", base=2)
        panel.set_xticks([value for (value,) in places], [f"{value:g}" for (value,) in places])
        panel.set_xticks([], minor=True)
        panel.set_xlabel(keys[0].replace("_", " "))
    else:
        labels = ["\n".join(f"{key.replace('_', ' ')}: {_word(item)}" for key, item in zip(keys, value, strict=True)) for value in places]  # noqa: E501  # fmt: skip
        panel.set_xticks(range(len(places)), labels)
        panel.margins(x=0.15)
    panel.set_ylabel("CME average")
    panel.set_title(f"Study: {name}")
    panel.legend(frameon=False)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
    return figure


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _word(value: object) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)
