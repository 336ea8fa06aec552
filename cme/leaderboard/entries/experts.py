"""The values of a run's experts, recomputed from the scores beside its entry."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cme.errors import CMEError
from cme.leaderboard.entries.board import samples_path
from cme.leaderboard.entries.expert_scores import experts_path, read_expert_scores
from cme.leaderboard.entries.scores import check_hash, different
from cme.records import Entry, MaskScore, RunExperts, ShapleyAnalysis
from cme.records.samples import read_samples
from cme.suite.experts.masks import FULL, Masks
from cme.suite.experts.redundancy import mask_scores
from cme.suite.experts.scores import ScoreTable
from cme.suite.experts.shapley import shapley_analysis
from cme.suite.score import Sample, soft_score

__all__ = [
    "changed_samples",
    "check_base_scores",
    "check_run_experts",
    "check_same_model",
    "expert_values",
    "experts_files",
]

_MOST_CHANGED = 0.02
"""Largest share of samples whose score with all experts may differ from that of the run: other devices round differently."""

_MOST_MOVED = 0.01
"""Largest mean difference of the probabilities of the right options."""

_SHOWN = 5


def experts_files(entry: Entry, entries_dir: Path) -> list[Path]:
    """Return the files of scores with masked experts of an entry."""
    return [
        experts_path(entries_dir, entry.name, k)
        for k, run in enumerate(entry.runs)
        if run.experts is not None and run.experts.scores_sha256 is not None
    ]


def expert_values(
    table: ScoreTable,
    masks: Masks,
    gates: Mapping[str, Sequence[float]] | None,
    *,
    redundancy: bool,
    shapley: bool,
    tier: str,
) -> tuple[tuple[MaskScore, ...], ShapleyAnalysis | None]:
    """Compute the shares that remain under masks, and the Shapley values.

    Args:
        table: scores of all evaluations.
        masks: the evaluations.
        gates: mean router value φ of each expert by dataset; None if load was not measured.
        redundancy: whether the shares are wanted.
        shapley: whether the Shapley values are wanted.
        tier: tier of the evaluation. Tier smoke has no intervals.
    """
    intervals = tier != "smoke"
    shares: tuple[MaskScore, ...] = ()
    if redundancy:
        shares = tuple(mask_scores(table, {name: masks.choices[name] for name in masks.reported}, intervals=intervals))
    if not shapley:
        return shares, None
    router = None if gates is None else {name: np.asarray(values) for name, values in gates.items()}
    return shares, shapley_analysis(table, masks.coalitions, router, intervals=intervals)


def changed_samples(table: ScoreTable, samples: Sequence[Sample], evaluation: str = FULL) -> int:
    """Count the samples whose score in an evaluation differs from that of a run.

    Args:
        table: scores with the samples in the order of the run.
        samples: samples of the run.
        evaluation: name of the evaluation.
    """
    own, place = _own(samples), table.evaluations.index(evaluation)
    return sum(int((table.scores[name][place] != scores).sum()) for name, (scores, _) in own.items())


def check_same_model(table: ScoreTable, samples: Sequence[Sample], where: str, evaluation: str = FULL) -> int:
    """Check that an evaluation has about the scores of a run, and return the number of samples whose score differs.

    Args:
        table: scores with the samples in the order of the run.
        samples: samples of the run.
        where: what the scores belong to, for the message.
        evaluation: name of the evaluation.

    Raises:
        CMEError: more scores differ than rounding explains.
    """
    changed, place = changed_samples(table, samples, evaluation), table.evaluations.index(evaluation)
    moved = np.concatenate([np.abs(table.soft[name][place] - soft) for name, (_, soft) in _own(samples).items()])
    if changed > max(1, _MOST_CHANGED * len(samples)) or moved.mean() > _MOST_MOVED:
        what, whose = ("all experts", "result") if evaluation == FULL else ("no expert", "board's base")
        raise CMEError(
            f"{where}: its scores with {what} are not those of the {whose}: "
            f"{changed:,} of {len(samples):,} samples differ, and probabilities differ by {moved.mean():.2g} on average. Analyse "
            "the same adapter with the same settings again."
        )
    return changed


def check_run_experts(entry: Entry, k: int, samples: Sequence[Sample], entries_dir: Path, where: str) -> None:
    """Check what an entry states about the experts of a run against the scores beside it.

    Args:
        entry: the entry, whose values are possible (`cme.leaderboard.entries.expert_claims`).
        k: index of the run.
        samples: samples of the run.
        entries_dir: folder of the entries.
        where: the run, for messages.

    Raises:
        CMEError: the file is missing or changed, or a number does not follow from it.
    """
    stated = entry.runs[k].experts
    if stated is None or stated.scores_sha256 is None:
        return
    path = experts_path(entries_dir, entry.name, k)
    check_hash(path, stated.scores_sha256, where)
    parts = {"redundancy": bool(stated.redundancy), "shapley": stated.shapley is not None}
    masks = Masks(stated.experts, **parts)
    table = read_expert_scores(path, samples, tuple(masks.choices), where)
    changed = check_same_model(table, samples, where)
    gates = None if stated.load is None else stated.load.datasets
    redundancy, shapley = expert_values(table, masks, gates, **parts, tier=entry.tier)
    computed = stated.replace(redundancy=redundancy, shapley=shapley, changed=changed)
    if problems := different(_named(stated), _named(computed), "experts", relative=True):
        more = f" and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise CMEError(f"{where}: {'; '.join(problems[:_SHOWN])}{more}. Submit its results and analyses again.")


def check_base_scores(entry: Entry, base: Sequence[Sample], entries_dir: Path) -> None:
    """Check that the scores without any expert are about those of the board's base.

    Args:
        entry: an entry whose files were checked (`check_run_experts`).
        base: samples of the base, which are those of the entry.
        entries_dir: folder of the entries.

    Raises:
        CMEError: they are not.
    """
    by_key = {(sample["dataset"], sample["id"]): sample for sample in base}
    for k, run in enumerate(entry.runs):
        if (stated := run.experts) is None or stated.scores_sha256 is None:
            continue
        samples = read_samples(samples_path(entries_dir, entry.name, k))
        masks = Masks(stated.experts, redundancy=bool(stated.redundancy), shapley=stated.shapley is not None)
        where = f"entry {entry.name!r}, seed {run.seed}"
        table = read_expert_scores(experts_path(entries_dir, entry.name, k), samples, tuple(masks.choices), where)
        own = [by_key[(sample["dataset"], sample["id"])] for sample in samples]
        check_same_model(table, own, where, "base")


def _named(record: RunExperts) -> dict[str, Any]:
    """Return what follows from the scores as plain values, with names in place of numbers in lists."""
    shapley = {} if record.shapley is None else record.shapley.plain()
    for key in ("families", "datasets"):
        if key in shapley:
            shapley[key] = {item["name"]: item for item in shapley[key]}
    return {
        "redundancy": {item.name: item.plain() for item in record.redundancy},
        "shapley": shapley,
        "changed": record.changed,
    }


def _own(samples: Sequence[Sample]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return scores and soft scores of a run by dataset."""
    rows: dict[str, list[tuple[float, float]]] = {}
    for sample in samples:
        rows.setdefault(sample["dataset"], []).append((sample["score"], soft_score(sample)))
    return {name: (np.array(values)[:, 0], np.array(values)[:, 1]) for name, values in rows.items()}
