"""What the router of a row is worth against plain LoRA exports, over the seeds of the row."""

from dataclasses import dataclass

from cme.leaderboard.ranking.comparison import Standing
from cme.leaderboard.ranking.experts import Figure, OverSeeds, over_seeds
from cme.leaderboard.ranking.numbers import rounded
from cme.records import Entry, EntryRun
from cme.records.analysis import Interval

__all__ = ["RowWorth", "row_worth", "standing_worth", "worth_columns", "worth_values"]


@dataclass(frozen=True)
class RowWorth:
    """What the router of a row is worth.

    Attributes:
        seeds: number of seeds with a measured export.
        runs: number of seeds of the row.
        best: the best export by the CME average, one for each seed with different ones.
        rank: rank of the best export; the largest one over the seeds.
        average: routed adapter minus the best export in points of the CME average.
        soft: the same for the soft average, whose best export may be another one.
        drift: drift of the routed adapter minus that of the best export, in nats per token; None if a seed lacks it.
    """

    seeds: int
    runs: int
    best: tuple[str, ...]
    rank: int
    average: OverSeeds | None
    soft: OverSeeds | None
    drift: OverSeeds | None


_FIGURES = {"average": "router_worth", "soft": "router_worth_soft", "drift": "router_worth_drift"}
"""Names of the columns in files and data frames."""


def standing_worth(standing: Standing) -> dict[str, RowWorth]:
    """Return what the routers of the ranked rows are worth, by the name of the row."""
    rows = {row.name: row_worth(row) for row in standing.rows}
    return {name: worth for name, worth in rows.items() if worth is not None}


def row_worth(entry: Entry) -> RowWorth | None:
    """Return what the router of a row is worth; None without a measured export."""
    runs = [(run, run.router_worth) for run in entry.runs if run.router_worth is not None]
    if not runs:
        return None
    best = [stated.best["average"] for _, stated in runs]
    ranks = [item.rank for _, stated in runs for item in stated.exports if item.how == stated.best["average"]]
    return RowWorth(
        seeds=len(runs),
        runs=len(entry.runs),
        best=tuple(dict.fromkeys(best)),
        rank=max(ranks),
        average=over_seeds([_figure(stated.worth["average"]) for _, stated in runs]),
        soft=over_seeds([_figure(stated.worth["soft"]) for _, stated in runs]),
        drift=over_seeds([_drift(run) for run, _ in runs]),
    )


def worth_columns() -> list[str]:
    """Return the names of the columns that hold the figures of `RowWorth`."""
    return list(worth_values(None))


def worth_values(row: RowWorth | None) -> dict[str, float | int | str | None]:
    """Return the figures of a row by column, rounded to six decimals. All are None without a measured export."""
    values: dict[str, float | int | str | None] = {
        "exported_seeds": row.seeds if row else None,
        "best_export": ", ".join(row.best) if row else None,
        "best_export_rank": row.rank if row else None,
    }
    for name, label in _FIGURES.items():
        item: OverSeeds | None = getattr(row, name) if row else None
        values |= {label: rounded(item.value) if item else None}
        values |= {f"{label}_{end}": rounded(getattr(item, end)) if item else None for end in ("low", "high")}
    return values


def _figure(item: Interval) -> Figure:
    return item.value, item.low, item.high


def _drift(run: EntryRun) -> Figure:
    """Return the drift of the routed adapter minus that of the best export, paired by text."""
    assert run.router_worth is not None
    best = next(item for item in run.router_worth.exports if item.how == run.router_worth.best["average"])
    if run.retention is None or best.retention is None:
        return None, None, None
    routed, plain = run.retention.drift, best.retention.drift
    if routed.texts_sha256 != plain.texts_sha256 or len(routed.texts) != len(plain.texts):
        return None, None, None
    differences = [(own - other, None, None) for own, other in zip(routed.texts, plain.texts, strict=True)]
    mean = over_seeds(differences)
    return (None, None, None) if mean is None else (mean.value, mean.low, mean.high)
