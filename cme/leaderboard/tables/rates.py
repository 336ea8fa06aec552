"""The learning-rate grids that the rows' rates were chosen by."""

from collections.abc import Mapping
from typing import Any

from cme.leaderboard.cost import number
from cme.leaderboard.numbers import listing, shown
from cme.leaderboard.section import Section, make_table
from cme.leaderboard.standing import Standing

__all__ = ["rates_section"]


def rates_section(standing: Standing) -> Section | None:
    """Validation loss at every rate that was tried, and the one that was chosen."""
    rows = [(row.name, row.lr_grid) for row in standing.rows if row.lr_grid]
    if not rows:
        return None
    lines = [
        [
            name,
            ", ".join(f"{shown(run.get('learning_rate'))}: {_loss(run)}" for run in _runs(grid)),
            shown(grid.get("steps")),
            shown(grid.get("learning_rate")),
            "yes" if grid.get("at_edge") else "no",
        ]
        for name, grid in rows
    ]
    said = "The validation loss at every rate that was tried; the lowest chose the rate of all the row's seeds. At the edge: "
    said += "the lowest or highest rate of the grid was chosen, so a better one may lie beyond."
    without = [row.name for row in standing.rows if row.recipe and not row.lr_grid]
    return Section(
        "Learning rates",
        said + (f" Without a grid: {listing(without)}." if without else ""),
        make_table(["name", "rate: validation loss", "steps", "chosen", "at the edge"], lines, text=(0, 1, 4)),
    )


def _runs(grid: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    runs = grid.get("runs")
    return [run for run in runs if isinstance(run, Mapping)] if isinstance(runs, list | tuple) else []


def _loss(run: Mapping[str, Any]) -> str:
    loss = number(run, "validation_loss")
    return "diverged" if loss is None else f"{loss:.4f}"
