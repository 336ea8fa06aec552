"""Analyses of experts that a row is submitted with: matching them to its runs, and their summary."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from cme.errors import CMEError, UsageError
from cme.leaderboard.entries.differences import other_settings, unequal_keys
from cme.leaderboard.entries.expert_scores import as_stored, expert_scores
from cme.leaderboard.entries.experts import check_same_model, expert_values
from cme.leaderboard.entries.files import check_file
from cme.leaderboard.entries.matching import Pair
from cme.leaderboard.ranking.numbers import listing
from cme.leaderboard.submission.matched import check_programs, matched_to_runs
from cme.readers.limits import COALITION_FILES, EXPERT_FILES
from cme.records import (
    Analysis,
    ExpertsCompetition,
    ExpertsLoad,
    LayerCompetition,
    LoadAnalysis,
    RunExperts,
    SubjectInformation,
    read_record,
)
from cme.suite.experts.masks import Masks
from cme.suite.experts.score_file import read_scores
from cme.suite.experts.scores import ScoreTable
from cme.suite.score import Sample

__all__ = ["row_experts"]

_SCORES = "coalitions.parquet"
_SHARED = ("base_fingerprint", "tier", "source", "prompt_format", "dtype")


def row_experts(
    pairs: Sequence[Pair], samples: Sequence[Sequence[Sample]], folders: Sequence[Path]
) -> dict[int, tuple[RunExperts, bytes]]:
    """Summarise the analyses of a row's adapters.

    Args:
        pairs: the results of the row with their runs.
        samples: the samples of each result.
        folders: folders of analyses (``cme analyse``), at most one for each run, in any order.

    Returns:
        The summary and the contents of the file of scores (empty without masked scores), by index of the run.

    Raises:
        CMEError: a file is missing, damaged or changed.
        UsageError: an analysis does not belong to a run of the row, or differs from its result in base, source, tier, scorer,
            tasks or rows. One message lists the differences.
    """
    made: dict[int, tuple[RunExperts, bytes]] = {}
    matched = matched_to_runs(pairs, folders, _read, verb="analyse", what="analyses")
    for k, (folder, record) in matched.items():
        _check_settings(record, pairs[k], folder)
        made[k] = _summary(record, samples[k], folder)
    return made


def _read(folder: Path) -> Analysis:
    return read_record(folder / "analysis.json", Analysis)


def _check_settings(record: Analysis, item: Pair, folder: Path) -> None:
    """Refuse an analysis that was made with other settings than the result."""
    result = item.result
    problems = other_settings(_SHARED, record, result)
    if record.scorer_version not in (None, result.scorer_version):
        problems.append(f"its scorer version is {record.scorer_version}, that of the result is {result.scorer_version}")
    tasks = record.task_fingerprints
    if tasks is not None:
        check_programs(tasks, item, folder, command="cme analyse", what="an analysis")
    if tasks is not None and (names := unequal_keys(tasks, result.task_fingerprints)):
        problems.append(f"its datasets or their task files differ in {listing(names)}")
    if problems:
        raise UsageError(
            f"the analysis {folder} does not belong to the result {item.folder}: {'; '.join(problems)}. Analyse the "
            "adapter again with the settings of the result."
        )


def _summary(record: Analysis, samples: Sequence[Sample], folder: Path) -> tuple[RunExperts, bytes]:
    names = list(dict.fromkeys(str(sample["dataset"]) for sample in samples))
    load = None if record.load is None else _load(record.load)
    if load is not None and (unequal := unequal_keys(load.datasets, dict.fromkeys(names, ""), keys_only=True)):
        raise UsageError(
            f"the analysis {folder} has load on other datasets than the result: {listing(unequal)}. Analyse the adapter again on "
            "the datasets of the result."
        )
    similarity = record.similarity
    competition = _competition(similarity.competition) if similarity is not None and similarity.competition else None
    values: dict[str, Any] = {
        "experts": record.experts,
        "rank": record.rank,
        "load": load,
        "redundancy": (),
        "shapley": None,
        "competition": competition,
        "scores_sha256": None,
        "changed": 0,
    }
    # An entry has all evaluations of redundancy or none, and methods whose gate weights tie have no top 1.
    complete = any(item.name == "top1" for item in record.redundancy)
    parts = {"redundancy": complete, "shapley": record.shapley is not None}
    if not any(parts.values()):
        if load is None:
            raise UsageError(
                f"the analysis {folder} has neither load nor masked scores, so a board has nothing to show. Analyse with --parts "
                "load,redundancy,shapley."
            )
        return RunExperts(**values), b""
    masks = Masks(record.experts, **parts)
    table = _scores(record, samples, masks, folder)
    contents = expert_scores(table, samples)
    if len(contents) > (EXPERT_FILES.size or 0):
        raise UsageError(
            f"the scores of the analysis {folder} take {len(contents):,} bytes on a board, but at most {EXPERT_FILES.size:,} are "
            "allowed. Submit an analysis of a smaller tier, with a result of the same tier."
        )
    rounded = as_stored(table)
    values["changed"] = check_same_model(rounded, samples, f"analysis {folder}")
    gates = None if load is None else load.datasets
    values["redundancy"], values["shapley"] = expert_values(rounded, masks, gates, **parts, tier=record.tier)
    values["scores_sha256"] = sha256(contents).hexdigest()
    return RunExperts(**values), contents


def _scores(record: Analysis, samples: Sequence[Sample], masks: Masks, folder: Path) -> ScoreTable:
    """Read the scores of an analysis in the order of the samples of its result."""
    file = folder / _SCORES
    check_file(file, COALITION_FILES.size or 0)
    if sha256(file.read_bytes()).hexdigest() != record.files.get(_SCORES):
        raise CMEError(
            f"{file} has changed since it was recorded in analysis.json. Restore the file, or analyse again."
        )
    table = read_scores(file)
    if missing := [name for name in masks.choices if name not in table.evaluations]:
        raise CMEError(f"{file} lacks the evaluation {missing[0]!r} of its experts. Analyse again.")
    rows: dict[str, list[Sample]] = {}
    for sample in samples:
        rows.setdefault(str(sample["dataset"]), []).append(sample)
    unequal = unequal_keys(table.ids, rows, keys_only=True)
    ordered: dict[str, dict[str, Any]] = {name: {} for name in ("ids", "clusters", "options", "scores", "soft")}
    places = table.rows_of(list(masks.choices))
    for name, of_result in rows.items():
        if name in unequal:
            continue
        order = {key: place for place, key in enumerate(table.ids[name])}
        own = [order.get(sample["id"], -1) for sample in of_result]
        same = len(own) == len(order) and all(
            place >= 0
            and (table.clusters[name][place], table.options[name][place]) == (sample["cluster"], sample["options"])
            for place, sample in zip(own, of_result, strict=True)
        )
        if not same:
            unequal.append(name)
            continue
        ordered["ids"][name] = tuple(table.ids[name][place] for place in own)
        ordered["clusters"][name] = tuple(table.clusters[name][place] for place in own)
        ordered["options"][name] = table.options[name][own]
        ordered["scores"][name] = table.scores[name][places][:, own]
        ordered["soft"][name] = table.soft[name][places][:, own]
    if unequal:
        raise UsageError(
            f"the analysis {folder} has other rows than the result in {listing(sorted(unequal))}. Analyse the adapter again on "
            "the rows of the result."
        )
    families = {name: str(of_result[0]["family"]) for name, of_result in rows.items()}
    return ScoreTable(evaluations=tuple(masks.choices), families=families, **ordered)


def _load(load: LoadAnalysis) -> ExpertsLoad:
    whole = next(item for item in load.prompt if not (item.family or item.dataset or item.subject))
    test = load.subjects
    shared = [name for name in ExpertsLoad.model_fields if name not in ("datasets", "subjects", "information")]
    return ExpertsLoad(
        **{name: getattr(whole, name) for name in shared},
        datasets={item.dataset: item.phi for item in load.prompt if item.dataset and not item.subject},
        subjects={item.subject: item.phi for item in load.prompt if item.subject},
        information=None
        if test is None
        else SubjectInformation(**{name: getattr(test, name) for name in SubjectInformation.model_fields}),
    )


def _competition(layers: Sequence[LayerCompetition]) -> ExpertsCompetition:
    def mean(name: str) -> float:
        return float(np.mean([getattr(item, name) for item in layers]))

    matrix = np.mean([item.matrix for item in layers], axis=0)
    return ExpertsCompetition(
        matrix=tuple(tuple(row) for row in matrix.tolist()),
        layers=len(layers),
        **{name: mean(name) for name in ("spread", "moved", "positive", "outside")},
    )
