"""The rows that decontamination detected, as a table and as a heat map."""

import io
from collections.abc import Iterator, Mapping

from cme.extras import need
from cme.frames import csv_text
from cme.mix.decontamination import KEPT
from cme.mix.dedup import Overlap

__all__ = ["heat_map", "overlap_csv", "overlap_rows"]

_INCH_PER_CELL = 0.36


def overlap_rows(overlap: Mapping[str, Overlap]) -> Iterator[tuple[str, str, str, int]]:
    """Yield (training dataset, evaluation dataset, rule, rows) for every rule that detected rows."""
    for train, others in overlap.items():
        for evaluation, rules in others.items():
            for rule, rows in rules.items():
                yield train, evaluation, rule, rows


def overlap_csv(overlap: Mapping[str, Overlap]) -> str:
    """Format the counts as CSV with the columns ``train_dataset``, ``eval_dataset``, ``rule`` and ``rows``.

    Args:
        overlap: what `cme.mix.dedup` counted.

    Returns:
        One line per training dataset, evaluation dataset and rule that detected rows.
    """
    return csv_text(["train_dataset", "eval_dataset", "rule", "rows"], list(overlap_rows(overlap)))


def heat_map(overlap: Mapping[str, Overlap]) -> str:
    """Draw the removed training rows by training dataset (rows) and evaluation dataset (columns). Equal counts give equal bytes.

    A cell shows the largest number of rows that one rule removed. Several rules can detect the same row, so a sum would count it
    twice.

    Args:
        overlap: what `cme.mix.dedup` counted.

    Returns:
        The picture as SVG.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    if not any(overlap.values()):
        return '<svg xmlns="http://www.w3.org/2000/svg"><title>No evaluation rows were compared.</title></svg>\n'
    matplotlib = need("matplotlib", extra="plots", for_="Drawing overlap.svg")
    import numpy as np
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    trains = list(overlap)
    evaluations = list(next(iter(overlap.values()), {}))
    counts = np.array(
        [
            [
                max((n for rule, n in overlap[t].get(e, {}).items() if not rule.endswith(KEPT)), default=0)
                for e in evaluations
            ]
            for t in trains
        ]
    ).reshape(len(trains), len(evaluations))
    # Text is not stored as outlines, so that the file is small. The ids are salted, so that its bytes are always the same.
    with matplotlib.rc_context({"svg.hashsalt": "cme", "svg.fonttype": "none", "font.size": 8}):
        figure = Figure(
            figsize=(3.2 + _INCH_PER_CELL * len(evaluations), 2.2 + _INCH_PER_CELL * len(trains)), layout="constrained"
        )
        axes = figure.add_subplot()
        shade = np.ma.masked_equal(counts, 0)
        image = axes.imshow(
            shade, cmap="YlOrRd", norm=LogNorm(vmin=1, vmax=max(10, int(counts.max(initial=1)))), aspect="auto"
        )
        axes.set_xticks(range(len(evaluations)), evaluations, rotation=60, ha="right")
        axes.set_yticks(range(len(trains)), trains)
        axes.set_xlabel("evaluation rows of")
        axes.set_ylabel("training rows of")
        axes.set_title("Training rows that leak an evaluation row (removed)")
        axes.set_xticks(np.arange(-0.5, len(evaluations)), minor=True)
        axes.set_yticks(np.arange(-0.5, len(trains)), minor=True)
        axes.grid(which="minor", color="0.9", linewidth=0.5)
        axes.tick_params(which="minor", length=0)
        dark = counts.max(initial=1) ** 0.6
        for (row, column), count in np.ndenumerate(counts):
            if count:
                colour = "white" if count > dark else "black"
                axes.text(column, row, _short(int(count)), ha="center", va="center", color=colour, fontsize=6)
        if counts.any():
            figure.colorbar(image, ax=axes, label="rows", shrink=0.6)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()


def _short(count: int) -> str:
    return str(count) if count < 10_000 else f"{count / 1000:.0f}k"
