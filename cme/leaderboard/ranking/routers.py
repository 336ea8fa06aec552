"""What the router of a row is worth against plain LoRA exports, over the seeds of the row."""

from collections.abc import Sequence
from dataclasses import dataclass

from cme.leaderboard.ranking.comparison import Standing
from cme.leaderboard.ranking.experts import Figure, OverSeeds, over_seeds
from cme.leaderboard.ranking.numbers import rounded
from cme.records import Entry, EntryRun, RouterWorth
from cme.records.analysis import Interval

__all__ = ["RowWorth", "row_worth", "standing_worth", "worth_columns", "worth_values"]


@dataclass(frozen=True)
class RowWorth:
    """What the router of a row is worth.

    Attributes:
        seeds: number of seeds with a measured export.
        runs: number of seeds of the row.
        best: the way of exporting that is best by the mean of the CME average over the seeds, of those that all seeds have; None
            if the seeds have none in common.
        rank: rank of the best export; the largest one over the seeds.
        average: routed adapter minus the best export in points of the CME average. The interval contains the choice of the best.
        soft: the same for the soft average, whose best export may be another one.
        drift: drift of the routed adapter minus that of the best export, in nats per token; None if a seed lacks it.
    """

    seeds: int
    runs: int
    best: str | None
    rank: int | None
    average: OverSeeds | None
    soft: OverSeeds | None
    drift: OverSeeds | None


_FIGURES = {"average": "router_worth", "soft": "router_worth_soft", "drift": "router_worth_drift"}
"""Names of the columns in files and data frames."""


def standing_worth(standing: Standing) -> dict[str, RowWorth]:
    """Return what the routers of the ranked rows are worth, by the name of the row."""
    rows = {row.name: row_worth(row) for row in standing.shown}
    return {name: worth for name, worth in rows.items() if worth is not None}


def row_worth(entry: Entry) -> RowWorth | None:
    """Return what the router of a row is worth; None without a measured export."""
    runs = [(run, run.router_worth) for run in entry.runs if run.router_worth is not None]
    if not runs:
        return None
    best, average = _worth([stated for _, stated in runs], "average")
    _, soft = _worth([stated for _, stated in runs], "soft")
    ranks = [item.rank for _, stated in runs for item in stated.exports if item.how == best]
    return RowWorth(
        seeds=len(runs),
        runs=len(entry.runs),
        best=best,
        rank=max(ranks, default=None),
        average=average,
        soft=soft,
        drift=None if best is None else over_seeds([_drift(run, best) for run, _ in runs]),
    )


def _worth(stated: Sequence[RouterWorth], metric: str) -> tuple[str | None, OverSeeds | None]:
    """Return the best export of a row, and the routed adapter minus it.

    One way of exporting is chosen for all seeds, because the best of each seed would make the mean too low. Of m ways that are
    compared, each has an interval over seeds at level 1 - 0.05 / m (Bonferroni), so the smallest lower and the smallest upper end
    contain the choice. A single seed has the interval over samples of its record, which contains the choice in the same way.
    """
    if len(stated) == 1:
        return stated[0].best[metric], over_seeds([_figure(stated[0].worth[metric])])
    seeds = [{item.how: item.difference[metric] for item in record.exports} for record in stated]
    shared = [how for how in seeds[0] if all(how in seed for seed in seeds)]
    lost: dict[str, OverSeeds] = {}
    for how in shared:
        if (item := over_seeds([_figure(seed[how]) for seed in seeds], 0.05 / len(shared))) is not None:
            lost[how] = item
    if not lost:
        return None, None
    best = min(lost, key=lambda how: lost[how].value)
    low, high = (min(_end(item, end) for item in lost.values()) for end in ("low", "high"))
    return best, OverSeeds(lost[best].value, low, high)


def _end(item: OverSeeds, name: str) -> float:
    """Return an end of an interval over seeds, which at least two seeds always have."""
    end: float | None = getattr(item, name)
    assert end is not None
    return end


def worth_columns() -> list[str]:
    """Return the names of the columns that hold the figures of `RowWorth`."""
    return list(worth_values(None))


def worth_values(row: RowWorth | None) -> dict[str, float | int | str | None]:
    """Return the figures of a row by column, rounded to six decimals. All are None without a measured export."""
    values: dict[str, float | int | str | None] = {
        "exported_seeds": row.seeds if row else None,
        "best_export": row.best if row else None,
        "best_export_rank": row.rank if row else None,
    }
    for name, label in _FIGURES.items():
        item: OverSeeds | None = getattr(row, name) if row else None
        values |= {label: rounded(item.value) if item else None}
        values |= {f"{label}_{end}": rounded(getattr(item, end)) if item else None for end in ("low", "high")}
    return values


def _figure(item: Interval) -> Figure:
    return item.value, item.low, item.high


def _drift(run: EntryRun, how: str) -> Figure:
    """Return the drift of the routed adapter minus that of an export, paired by text."""
    assert run.router_worth is not None
    best = next(item for item in run.router_worth.exports if item.how == how)
    if run.retention is None or best.retention is None:
        return None, None, None
    routed, plain = run.retention.drift, best.retention.drift
    if routed.texts_sha256 != plain.texts_sha256 or len(routed.texts) != len(plain.texts):
        return None, None, None
    differences = [(own - other, None, None) for own, other in zip(routed.texts, plain.texts, strict=True)]
    mean = over_seeds(differences)
    return (None, None, None) if mean is None else (mean.value, mean.low, mean.high)
