"""Conditions that differ between the rows of a board, and the learning-rate grids of its rows."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from cme.leaderboard.entries.costs import scale_of
from cme.leaderboard.ranking.comparison import Standing
from cme.leaderboard.ranking.numbers import listing, shown
from cme.leaderboard.ranking.tuned import choice
from cme.leaderboard.rendering.section import Section, make_table
from cme.records import ChosenGrid, Entry, GridRun, PartialRecord
from cme.suite.baselines import BASELINES

__all__ = ["conditions_section", "rates_section", "unshared"]


def conditions_section(entries: Sequence[Entry]) -> Section | None:
    """Make the table of the conditions that differ between rows, with one line for each value."""
    lines = [
        [condition, value, listing(names)]
        for condition, groups in unshared(entries).items()
        for value, names in groups.items()
    ]
    if not lines:
        return None
    return Section(
        "Conditions that differ between rows",
        "The table lists the recorded conditions of training and evaluation that differ between rows.",
        make_table(["condition", "value", "rows"], lines, text=(0, 1, 2)),
    )


def unshared(entries: Sequence[Entry]) -> dict[str, dict[str, list[str]]]:
    """Return the conditions that differ between rows, as names of rows by condition and value.

    Baselines have no conditions, and a base has no training.
    """
    values_of: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    models = [entry for entry in entries if entry.method not in BASELINES]
    _collect(values_of, {entry.name: _evaluation(entry) for entry in models})
    _collect(values_of, {entry.name: _training(entry) for entry in models if entry.recipe})
    return {condition: dict(groups) for condition, groups in values_of.items() if len(groups) > 1}


def _collect(values_of: dict[str, dict[str, list[str]]], conditions: Mapping[str, Mapping[str, str]]) -> None:
    known = dict.fromkeys(key for values in conditions.values() for key in values)
    for condition in known:
        for name, values in conditions.items():
            values_of[condition][values.get(condition, shown(None))].append(name)


def _evaluation(entry: Entry) -> dict[str, str]:
    runs = [run.provenance.evaluation for run in entry.runs]
    return {
        f"evaluation: {key.replace('_', ' ')}": _over(runs, key) for key in ("device", "dtype", "threads", "batch_size")
    }


def _training(entry: Entry) -> dict[str, str]:
    runs = [run.provenance.training for run in entry.runs]
    values_of = {
        "training: mix": ", ".join(dict.fromkeys(str(run.mix_fingerprint)[:12] for run in runs)),
        "training: device": _over([run.cost for run in entry.runs], "device"),
        "training: target modules": shown(entry.settings.target_modules),
        "training: alpha / rank": shown(scale_of(entry)),
    }
    values_of |= {
        f"training: {key.replace('_', ' ')}": _over(runs, key) for key in ("world_size", "threads", "examples")
    }
    return values_of | {
        f"training: {key.replace('_', ' ')}": shown(value) for key, value in entry.recipe.plain().items()
    }


def _over(runs: Sequence[PartialRecord], key: str) -> str:
    return ", ".join(dict.fromkeys(shown(getattr(run, key)) for run in runs))


def rates_section(standing: Standing) -> Section | None:
    """Make the table of validation losses for the learning rates that were tried."""
    rows = [(row, row.lr_grid) for row in standing.shown if row.lr_grid]
    if not rows:
        return None
    tuned = any(grid.tuned for _, grid in rows)
    lines = [
        [
            row.name,
            _losses(grid),
            *([f"{len(grid.runs)} runs"] if tuned else []),
            shown(grid.steps),
            choice(row),
            _edge(grid),
        ]
        for row, grid in rows
    ]
    paragraph = (
        "The table shows the validation loss of every learning rate that was tried. The rate with the lowest loss was used for "
        "all seeds of the row. If the chosen rate is the lowest or highest of its grid (at the edge), a better rate may lie "
        "outside the grid."
    )
    if tuned:
        paragraph += (
            " Where settings of the adapter are named before the rates, every combination was trained. The lowest loss of all "
            "runs chose the settings and the rate. The last column names every setting whose chosen value is the lowest or "
            "highest that was tried."
        )
    without = [row.name for row in standing.rows if row.recipe and not row.lr_grid]
    return Section(
        "Learning rates",
        paragraph + (f" Rows without a grid: {listing(without)}." if without else ""),
        make_table(
            ["name", "rate: validation loss", *["tried"] * tuned, "steps", "chosen", "at the edge"],
            lines,
            text=(0, 1, 4 + tuned),
        ),
    )


def _edge(grid: ChosenGrid) -> str:
    """Return ``yes`` or ``no`` for a grid of rates, and the names of what lies at an edge for one that varies settings too."""
    if not grid.tuned:
        return "yes" if grid.at_edge else "no"
    edges = ["rate"] * grid.at_edge + [key.replace("_", " ") for key in grid.settings_at_edge]
    return ", ".join(edges) or "no"


def _losses(grid: ChosenGrid) -> str:
    """Return the losses by rate. If other settings vary too, their values come first."""
    cells: dict[str, list[str]] = defaultdict(list)
    for run in grid.runs:
        settings = ", ".join(f"{key.replace('_', ' ')} {shown(value)}" for key, value in (run.settings or {}).items())
        cells[settings].append(f"{shown(run.learning_rate)}: {_loss(run)}")
    return "; ".join(f"{cell} – {', '.join(losses)}" if cell else ", ".join(losses) for cell, losses in cells.items())


def _loss(run: GridRun) -> str:
    return "diverged" if run.validation_loss is None else f"{run.validation_loss:.4f}"
