"""The data of the page as JSON values: scores with intervals, costs and differences."""

from typing import Any

from cme.leaderboard.entries.costs import RunRatio, cost_of, measured, rank_of, run_ratios
from cme.leaderboard.entries.measurements import RATIOS
from cme.leaderboard.entries.retention import RowValue, retention_of
from cme.leaderboard.ranking.comparison import Standing
from cme.leaderboard.ranking.information import LIMITS, Information
from cme.leaderboard.ranking.numbers import rounded
from cme.leaderboard.ranking.tuned import tuned_lines
from cme.leaderboard.rendering.notes import notes, remarks
from cme.leaderboard.rendering.page.pack import pack_pairs
from cme.records import Entry
from cme.stats import Estimate
from cme.stats.signal import Signal
from cme.suite import datasets
from cme.suite.families import title
from cme.suite.suites import ALL

__all__ = ["page_data"]

_MEASUREMENT = ("hardware", "device", "threads", "dtype", "command")


def page_data(standing: Standing) -> dict[str, Any]:
    """Return the data that the page's script shows, without single samples (`page_samples`).

    Args:
        standing: the compared rows.

    Returns:
        JSON values without NaN. Each score is [value, low, high] in points. Low and high are None without a standard error,
        and all three are None without a score. Compared rows come first, then repeats, references, partial baselines
        and stale rows.
    """
    entries = standing.entries
    recipes: list[dict[str, Any]] = []
    times = run_ratios(standing.trainings)
    rows = [_row(entry, standing, times.get(entry.name), recipes) for entry in entries]
    return {
        "source": entries[0].source if entries else "",
        "plain": all(entry.prompt_format in ("plain", "") and not entry.shots for entry in standing.rows),
        "families": [{"name": name, "title": title(name)} for name in standing.families],
        "tuned": [{"name": name, "value": rounded(value)} for name, value in tuned_lines(standing)],
        "information": _information(standing.information),
        "datasets": _datasets(standing) if entries else [],
        "rows": rows,
        "recipes": recipes,
        "pairs": pack_pairs(standing.comparison) if standing.comparison else None,
        "notes": notes(standing) if entries else [],
    }


def _row(entry: Entry, standing: Standing, time: RunRatio | None, recipes: list[dict[str, Any]]) -> dict[str, Any]:
    kind, scores = standing.kind(entry), standing.whole_scores(entry)
    ranks, cost = standing.ranks.get(entry.name), cost_of(entry)
    measured_on = entry.cost_ratios.plain()
    recipe = entry.recipe.plain()
    if recipe not in recipes:
        recipes.append(recipe)
    average, retention = standing.averages.get(entry.name), retention_of(entry)
    soft = standing.soft.averages.get(entry.name) if standing.soft else None
    soft_ranks = standing.soft.ranks.get(entry.name) if standing.soft else None
    return {
        "name": entry.name,
        "method": entry.method,
        "kind": kind,
        "remark": remarks(entry, standing.repeated.get(entry.name)),
        "rank": rank_of(entry),
        "experts": entry.settings.experts,
        "ranks": [ranks.best, ranks.worst] if ranks else None,
        "average": _interval(average) or [rounded(scores.average) if scores else None, None, None],
        "soft": _interval(soft) or [rounded(scores.soft.average) if scores and scores.soft else None, None, None],
        "soft_ranks": [soft_ranks.best, soft_ranks.worst] if soft_ranks else None,
        "without_rouge": rounded(scores.without_rouge) if scores else None,
        "chance_normalised": rounded(scores.chance_normalised) if scores else None,
        "drift": _nats(retention.drift if retention else None),
        "loss_change": _nats(retention.loss if retention else None),
        "seed_stderr": rounded(average.seed_stderr if average else entry.seed_stderr) if scores else None,
        "families": [] if kind == "stale" else [_interval(of.get(entry.name)) for of in standing.families.values()],
        "datasets": [] if kind == "stale" else [_interval(of.get(entry.name)) for of in standing.datasets.values()],
        "runs": [
            {
                "seed": run.seed,
                "average": rounded(run.scores.average) if scores else None,
                "seconds": rounded(run.cost.wall_seconds),
                "peak_memory_bytes": run.cost.peak_memory_bytes,
            }
            for run in entry.runs
        ],
        "trainable": cost.trainable,
        "share": rounded(cost.trainable_percent),
        "seconds": rounded(cost.seconds),
        "device": cost.device,
        "time_ratio": [rounded(time.value), time.reference] if time else None,
        "ratios": {name: [rounded(value) for value in ratio] for name in RATIOS if (ratio := measured(entry, name))},
        "measured_on": {name: measured_on[name] for name in _MEASUREMENT if name in measured_on},
        "settings": entry.settings.plain(),
        "recipe": recipes.index(recipe),
    }


def _information(information: Information | None) -> list[dict[str, Any]]:
    """Return what the averages, the families and the datasets tell about the trained rows, one item for each."""
    if information is None:
        return []
    return [
        {
            "kind": kind,
            "name": name,
            "title": {"average": "all families (the average)", "dataset": name}.get(kind) or title(name),
            "score": _signal(measure.score),
            "soft": _signal(measure.soft),
            "limit": LIMITS[measure.limit] if measure.limit else None,
        }
        for kind, name, measure in information.measures()
    ]


def _signal(signal: Signal | None) -> list[float | None] | None:
    """Return F and the standard deviations between rows and between seeds."""
    return None if signal is None else [rounded(signal.ratio), rounded(signal.rows), rounded(signal.seeds)]


def _datasets(standing: Standing) -> list[dict[str, Any]]:
    entry = max(standing.entries, key=lambda entry: len(entry.scores.datasets))
    scores = {item.dataset: item for item in entry.scores.datasets}
    return [
        {
            "name": name,
            "family": scores[name].family,
            "metric": scores[name].metric,
            "n": scores[name].n,
            "clusters": scores[name].clusters,
            "chance": rounded(100 * scores[name].chance),
            "counted": name in datasets(ALL),
        }
        for name in standing.datasets
    ]


def _nats(item: RowValue | None) -> list[float | None] | None:
    """Return value and standard error."""
    return None if item is None else [rounded(item.value), rounded(item.stderr)]


def _interval(estimate: Estimate | None) -> list[float | None] | None:
    return None if estimate is None else [rounded(estimate.value), rounded(estimate.low), rounded(estimate.high)]
