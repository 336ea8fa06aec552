"""The learning curve of a run: ``curve.csv``, and ``curve.svg`` where matplotlib is installed."""

import csv
import importlib.util
import io
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cme.files import atomic_path, write_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["COLUMNS", "CURVE", "PICTURE", "curve_rows", "median_norm", "write_curve"]

CURVE = "curve.csv"
PICTURE = "curve.svg"
COLUMNS = ("step", "epoch", "loss", "learning_rate", "grad_norm", "tokens")
"""Columns of ``curve.csv``.

| column | meaning |
| --- | --- |
| ``step`` | optimiser steps done |
| ``epoch`` | passes over the training rows of the mix |
| ``loss`` | mean training loss per label since the row before |
| ``learning_rate`` | learning rate of the last of these steps |
| ``grad_norm`` | norm of the last step's gradient, before it is clipped |
| ``tokens`` | training tokens seen since the start, without padding |
"""


def curve_rows(
    history: Sequence[Mapping[str, Any]], lengths: "NDArray[np.int32]", order: "NDArray[np.int64]", per_step: int
) -> list[dict[str, float]]:
    """Return the rows of ``curve.csv``.

    The Trainer saves its log in every checkpoint, so an interrupted run and an uninterrupted run have the same rows.

    Args:
        history: The Trainer's log.
        lengths: Number of tokens of each training example, [examples].
        order: Indices of the examples in training order, [steps · per_step].
        per_step: Examples per optimiser step, over all processes.

    Returns:
        One row for each logged loss, with the keys of `COLUMNS`.
    """
    tokens = lengths[order].reshape(-1, per_step).sum(axis=1, dtype="int64").cumsum()
    return [
        {
            "step": entry["step"],
            "epoch": entry["step"] * per_step / len(lengths),
            "loss": entry["loss"],
            "learning_rate": entry["learning_rate"],
            "grad_norm": float(entry["grad_norm"]),
            "tokens": int(tokens[entry["step"] - 1]),
        }
        for entry in history
        if "loss" in entry
    ]


def write_curve(out: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Write the curve into a run's folder. Equal rows give bitwise identical files.

    Args:
        out: The run's folder.
        rows: The rows that `curve_rows` returns.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(out / CURVE, text.getvalue())
    if rows and importlib.util.find_spec("matplotlib"):
        _draw(out / PICTURE, rows)


def median_norm(out: Path) -> float | None:
    """Return the median of the finite gradient norms in the curve of a run, or None if there is none or the file is damaged.

    Args:
        out: The run's folder.
    """
    try:
        with (out / CURVE).open(encoding="utf-8", newline="") as file:
            norms = [float(row["grad_norm"]) for row in csv.DictReader(file)]
    except (OSError, KeyError, TypeError, ValueError, csv.Error):
        return None
    norms = [norm for norm in norms if math.isfinite(norm)]
    return statistics.median(norms) if norms else None


def _draw(path: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Draw the loss (above) and the learning rate (below) over the optimiser steps."""
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    steps = [row["step"] for row in rows]
    marker = "." if len(rows) < 40 else ""
    # Text is kept as text, which makes the file small. The fixed salt of the ids makes the file reproducible.
    with matplotlib.rc_context({"svg.hashsalt": "cme", "svg.fonttype": "none", "font.size": 8}):
        figure = Figure(figsize=(6.0, 3.2), layout="constrained")
        loss, rate = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        loss.plot(steps, [row["loss"] for row in rows], color="#2f6db3", linewidth=1.2, marker=marker)
        loss.set_ylabel("training loss")
        rate.plot(steps, [row["learning_rate"] for row in rows], color="#8a5a00", linewidth=1.2, marker=marker)
        rate.set_ylabel("learning rate")
        rate.set_ylim(bottom=0)
        rate.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
        rate.set_xlabel("optimiser step")
        rate.xaxis.set_major_locator(MaxNLocator(integer=True))
        for axes in (loss, rate):
            axes.grid(alpha=0.3, linewidth=0.5)
            axes.spines[["top", "right"]].set_visible(False)
        with atomic_path(path) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None, "Creator": None})
