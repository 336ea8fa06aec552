"""What a run's router is worth, recomputed from the scores of plain LoRA exports beside its entry."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cme.errors import CMEError
from cme.leaderboard.entries.expert_scores import read_expert_scores, router_path
from cme.leaderboard.entries.scores import check_hash, different
from cme.records import Entry, PlainLora, RouterWorth
from cme.records.analysis import Interval
from cme.stats.means import weighted_means
from cme.suite.experts.redundancy import combined
from cme.suite.experts.scores import ScoreTable
from cme.suite.experts.worth import METRICS, ROUTED, router_worth
from cme.suite.score import Sample, soft_score

__all__ = ["check_router_worth", "router_files", "router_values", "with_routed"]

_SHOWN = 5


def router_files(entry: Entry, entries_dir: Path) -> list[Path]:
    """Return the files of scores of plain LoRA exports of an entry."""
    return [router_path(entries_dir, entry.name, k) for k, run in enumerate(entry.runs) if run.router_worth is not None]


def with_routed(table: ScoreTable, samples: Sequence[Sample]) -> ScoreTable:
    """Return the scores of exports with those of the routed adapter first.

    Args:
        table: the scores of the exports with the samples in the order of the run.
        samples: samples of the run, which has the routed adapter.
    """
    rows: dict[str, list[Sample]] = {}
    for sample in samples:
        rows.setdefault(str(sample["dataset"]), []).append(sample)

    def stacked(of: Mapping[str, np.ndarray], value: Any) -> dict[str, np.ndarray]:
        return {name: np.vstack([[value(row) for row in rows[name]], scores]) for name, scores in of.items()}

    return ScoreTable(
        evaluations=(ROUTED, *table.evaluations),
        families=table.families,
        ids=table.ids,
        clusters=table.clusters,
        options=table.options,
        scores=stacked(table.scores, lambda row: float(row["score"])),
        soft=stacked(table.soft, soft_score),
    )


def router_values(
    table: ScoreTable, tier: str
) -> tuple[dict[str, dict[str, Interval]], dict[str, Interval], dict[str, str]]:
    """Compare the routed adapter with its exports.

    Args:
        table: scores of the routed adapter and of the exports.
        tier: tier of the evaluation. Tier smoke has no intervals.

    Returns:
        The differences of each export; what the router is worth; and the best export of each average.
    """
    intervals, unit = tier != "smoke", np.eye(len(table.evaluations))
    means = {metric: weighted_means(table.values(metric), table.clusters, table.weights) for metric in METRICS}
    differences = {
        name: {metric: combined(of, unit[0] - unit[place], intervals) for metric, of in means.items()}
        for place, name in enumerate(table.evaluations)
        if name != ROUTED
    }
    return differences, *router_worth(table, intervals=intervals)


def check_router_worth(entry: Entry, k: int, samples: Sequence[Sample], entries_dir: Path, where: str) -> None:
    """Check what an entry states about the router of a run against the scores beside it.

    Args:
        entry: the entry, whose values are possible (`cme.leaderboard.entries.router_claims`).
        k: index of the run.
        samples: samples of the run.
        entries_dir: folder of the entries.
        where: the run, for messages.

    Raises:
        CMEError: the file is missing or changed, or a number does not follow from it.
    """
    if (stated := entry.runs[k].router_worth) is None:
        return
    path = router_path(entries_dir, entry.name, k)
    check_hash(path, stated.scores_sha256, where)
    table = read_expert_scores(path, samples, [item.how for item in stated.exports], where)
    differences, worth, best = router_values(with_routed(table, samples), entry.tier)
    computed = stated.replace(
        exports=tuple(item.replace(difference=differences[item.how]) for item in stated.exports), worth=worth, best=best
    )
    if problems := different(_named(stated), _named(computed), "router_worth", relative=True):
        more = f" and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise CMEError(f"{where}: {'; '.join(problems[:_SHOWN])}{more}. Submit its results and exports again.")


def _named(record: RouterWorth) -> dict[str, Any]:
    """Return what follows from the scores as plain values."""
    exports: dict[str, PlainLora] = {item.how: item for item in record.exports}
    return {
        "exports": {
            how: {metric: of.plain() for metric, of in item.difference.items()} for how, item in exports.items()
        },
        "worth": {metric: of.plain() for metric, of in record.worth.items()},
        "best": record.best,
    }
