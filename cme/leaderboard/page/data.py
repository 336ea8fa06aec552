"""What the page knows, as plain values: scores and intervals, costs, differences, samples."""

from typing import Any

from cme.leaderboard.cost import RunRatio, cost_of, measured, rank_of, run_ratios
from cme.leaderboard.evidence import RATIOS
from cme.leaderboard.notes import notes, remarks
from cme.leaderboard.page.pack import pack_pairs
from cme.leaderboard.standing import Standing
from cme.records import Entry
from cme.stats import Estimate
from cme.suite import datasets
from cme.suite.families import title

__all__ = ["page_data"]

_DIGITS = 4
_MEASUREMENT = ("hardware", "device", "threads", "dtype", "command")


def page_data(standing: Standing) -> dict[str, Any]:
    """Everything that the page's script shows, but for single samples (`page_samples`).

    Args:
        standing: what is shown.

    Returns:
        JSON values, without NaN. Scores are in points, [value, low, high] each; low and high are None without a standard
        error. The rows of the comparison come first, then references, then stale rows.
    """
    entries = [*standing.rows, *standing.references, *standing.stale]
    current = [*standing.rows, *standing.references]
    recipes: list[dict[str, Any]] = []
    times = run_ratios(entries)
    rows = [_row(entry, standing, times.get(entry.name), recipes) for entry in entries]
    return {
        "families": [{"name": name, "title": title(name)} for name in standing.families],
        "datasets": _datasets(current[0], standing) if current else [],
        "rows": rows,
        "recipes": recipes,
        "pairs": pack_pairs(standing.comparison) if standing.comparison else None,
        "notes": notes(standing) if entries else [],
    }


def _row(entry: Entry, standing: Standing, time: RunRatio | None, recipes: list[dict[str, Any]]) -> dict[str, Any]:
    stale = entry in standing.stale
    ranks, cost = standing.ranks.get(entry.name), cost_of(entry)
    if entry.recipe not in recipes:
        recipes.append(entry.recipe)
    return {
        "name": entry.name,
        "method": entry.method,
        "kind": "stale" if stale else "reference" if entry in standing.references else "row",
        "remark": remarks(entry),
        "rank": rank_of(entry),
        "experts": entry.settings.get("experts"),
        "ranks": [ranks.best, ranks.worst] if ranks else None,
        "average": [entry.scores.average, None, None] if stale else _exact(standing.averages[entry.name]),
        "without_rouge": _short(entry.scores.without_rouge),
        "chance_normalised": _short(entry.scores.chance_normalised),
        "seed_stderr": _short(entry.seed_stderr),
        "families": [] if stale else [_interval(of[entry.name]) for of in standing.families.values()],
        "datasets": [] if stale else [_interval(of[entry.name]) for of in standing.datasets.values()],
        "runs": [
            {
                "seed": run.seed,
                "average": _short(run.scores.average),
                "seconds": _short(run.cost.get("wall_seconds")),
                "peak_memory_bytes": run.cost.get("peak_memory_bytes"),
            }
            for run in entry.runs
        ],
        "trainable": cost.trainable,
        "share": _short(cost.trainable_percent),
        "seconds": _short(cost.seconds),
        "device": cost.device,
        "time_ratio": [_short(time.value), time.reference] if time else None,
        "ratios": {name: [_short(value) for value in ratio] for name in RATIOS if (ratio := measured(entry, name))},
        "measured_on": {name: entry.cost_ratios[name] for name in _MEASUREMENT if name in entry.cost_ratios},
        "settings": entry.settings,
        "recipe": recipes.index(entry.recipe),
    }


def _datasets(entry: Entry, standing: Standing) -> list[dict[str, Any]]:
    scores = {item.dataset: item for item in entry.scores.datasets}
    return [
        {
            "name": name,
            "family": scores[name].family,
            "metric": scores[name].metric,
            "n": scores[name].n,
            "clusters": scores[name].clusters,
            "chance": _short(100 * scores[name].chance),
            "counted": name in datasets(),
        }
        for name in standing.datasets
    ]


def _exact(estimate: Estimate) -> list[float | None]:
    """The page takes differences of averages: they have all their digits."""
    return [estimate.value, _short(estimate.low), _short(estimate.high)]


def _interval(estimate: Estimate) -> list[float | None]:
    return [_short(estimate.value), _short(estimate.low), _short(estimate.high)]


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)
