"""Conditions in which comparable rows still differ, and the learning-rate grids that their rates were chosen by."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from cme.leaderboard.entries.costs import number, part
from cme.leaderboard.ranking.comparison import Standing
from cme.leaderboard.ranking.numbers import listing, shown
from cme.leaderboard.rendering.section import Section, make_table
from cme.records import Entry
from cme.suite.baselines import BASELINES

__all__ = ["conditions_section", "rates_section", "unshared"]


def conditions_section(entries: Sequence[Entry]) -> Section | None:
    """One line for each value of a condition that rows do not share."""
    lines = [
        [condition, value, listing(names)]
        for condition, groups in unshared(entries).items()
        for value, names in groups.items()
    ]
    if not lines:
        return None
    return Section(
        "What the rows do not share",
        "Recorded conditions of training and evaluation that are not the same for every row.",
        make_table(["condition", "value", "rows"], lines, text=(0, 1, 2)),
    )


def unshared(entries: Sequence[Entry]) -> dict[str, dict[str, list[str]]]:
    """Conditions that rows do not share: condition → value → names. Baselines have none, a base has no training."""
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    models = [entry for entry in entries if entry.method not in BASELINES]
    _collect(found, {entry.name: _evaluation(entry) for entry in models})
    _collect(found, {entry.name: _training(entry) for entry in models if entry.recipe})
    return {condition: dict(groups) for condition, groups in found.items() if len(groups) > 1}


def _collect(found: dict[str, dict[str, list[str]]], conditions: Mapping[str, Mapping[str, str]]) -> None:
    known = dict.fromkeys(key for values in conditions.values() for key in values)
    for condition in known:
        for name, values in conditions.items():
            found[condition][values.get(condition, shown(None))].append(name)


def _evaluation(entry: Entry) -> dict[str, str]:
    runs = [part(run.provenance, "evaluation") for run in entry.runs]
    return {
        f"evaluation: {key.replace('_', ' ')}": _over(runs, key) for key in ("device", "dtype", "threads", "batch_size")
    }


def _training(entry: Entry) -> dict[str, str]:
    runs = [part(run.provenance, "training") for run in entry.runs]
    found = {
        "training: mix": ", ".join(dict.fromkeys(str(run.get("mix_fingerprint"))[:12] for run in runs)),
        "training: device": _over([run.cost for run in entry.runs], "device"),
        "training: target modules": shown(entry.settings.get("target_modules")),
        "training: alpha / rank": _scale(entry),
    }
    found |= {f"training: {key.replace('_', ' ')}": _over(runs, key) for key in ("world_size", "threads", "examples")}
    return found | {f"training: {key.replace('_', ' ')}": shown(value) for key, value in _flat(entry.recipe).items()}


def _scale(entry: Entry) -> str:
    alpha, rank = number(entry.settings, "alpha"), number(entry.settings, "rank")
    return shown(None) if alpha is None or not rank else shown(alpha / rank)


def _over(runs: Sequence[Mapping[str, Any]], key: str) -> str:
    return ", ".join(dict.fromkeys(shown(run.get(key)) for run in runs))


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in settings.items():
        found |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found


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
