"""Exports to plain LoRA that a row is submitted with: matching them to its runs, and what its routers are worth."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path

from cme.errors import CMEError, UsageError
from cme.leaderboard.entries.differences import other_settings, unequal_keys
from cme.leaderboard.entries.expert_scores import as_stored, expert_scores
from cme.leaderboard.entries.files import check_samples
from cme.leaderboard.entries.matching import Pair
from cme.leaderboard.entries.router import router_values, with_routed
from cme.leaderboard.entries.router_claims import HOW
from cme.leaderboard.entries.scores import check_hash, check_scores
from cme.leaderboard.ranking.numbers import listing
from cme.leaderboard.submission.matched import check_programs, matched_to_runs
from cme.records import Export, PlainLora, Result, RouterWorth, read_record
from cme.records.export import PlainExport
from cme.records.samples import read_samples
from cme.suite.experts.score_file import score_table
from cme.suite.experts.scores import ScoreTable
from cme.suite.experts.worth import FAMILY
from cme.suite.score import Sample

__all__ = ["row_router_worth"]

_FILE = "export.json"
_ONE = "all"
"""Key of the only adapter of an export that has a single one."""

_SHARED = ("base_fingerprint", "tier", "source", "prompt_format", "dtype", "scorer_version")


def row_router_worth(
    pairs: Sequence[Pair], samples: Sequence[Sequence[Sample]], folders: Sequence[Path]
) -> dict[int, tuple[RouterWorth, bytes]]:
    """Compute what the routers of a row's adapters are worth, against plain LoRA exports of them.

    Args:
        pairs: the results of the row with their runs.
        samples: the samples of each result.
        folders: folders of exports (``cme export-lora --measure``), at most one for each run, in any order.

    Returns:
        The record and the contents of the file of scores, by index of the run.

    Raises:
        CMEError: a file is missing, damaged or changed.
        UsageError: an export does not belong to a run of the row, was not measured, has no single adapter, or was evaluated with
            other settings or on other rows than the result.
    """
    matched = matched_to_runs(pairs, folders, _read, verb="export", what="exports")
    return {k: _worth(export, pairs[k], samples[k], folder) for k, (folder, export) in matched.items()}


def _read(folder: Path) -> Export:
    file = folder / _FILE
    export = read_record(file, Export)
    if strange := [plain.how for plain in export.exports if not HOW.fullmatch(plain.how)]:
        # The name of an export is the name of its folder.
        raise CMEError(f"{file}: {strange[0][:60]!a} is not a way of exporting. Export the adapter again.")
    if export.measured is None:
        raise UsageError(f"the export {folder} was not measured. Run cme export-lora with --measure.")
    return export


def _worth(export: Export, item: Pair, samples: Sequence[Sample], folder: Path) -> tuple[RouterWorth, bytes]:
    single = [plain for plain in export.exports if plain.how != FAMILY and _ONE in plain.adapters]
    if not single:
        raise UsageError(
            f"the export {folder} has no way of exporting to a single adapter, so it does not show what the router is worth. "
            "Export with --how mean, fit or distil."
        )
    results = {plain.how: _result(plain, item, folder) for plain in single}
    table = _table({how: _samples(result, home, samples) for how, (result, home) in results.items()}, samples)
    contents = expert_scores(table, samples)
    differences, worth, best = router_values(with_routed(as_stored(table), samples), item.result.tier)
    record = RouterWorth(
        exports=tuple(
            PlainLora(
                how=plain.how,
                rank=plain.rank,
                difference=differences[plain.how],
                retention=results[plain.how][0].retention,
            )
            for plain in single
        ),
        worth=worth,
        best=best,
        scores_sha256=sha256(contents).hexdigest(),
    )
    return record, contents


def _result(plain: PlainExport, item: Pair, folder: Path) -> tuple[Result, Path]:
    """Read the evaluation of one export, and check that it has the settings of the row's result."""
    home = folder / "evaluations" / plain.how
    result, own = read_record(home / "result.json", Result), item.result
    check_programs(result.task_fingerprints, item, folder, command="cme export-lora", what="an export")
    problems = other_settings(_SHARED, result, own)
    if names := unequal_keys(result.task_fingerprints, own.task_fingerprints):
        problems.append(f"its datasets or their task files differ in {listing(names)}")
    if result.adapter is None or result.adapter.fingerprint != plain.adapters[_ONE].fingerprint:
        problems.append("it does not evaluate the exported adapter")
    if problems:
        raise UsageError(
            f"the evaluation {home} does not belong to the result {item.folder}: {'; '.join(problems)}. Measure the export "
            "again with the settings of the result."
        )
    return result, home


def _samples(result: Result, home: Path, samples: Sequence[Sample]) -> dict[tuple[str, str], Sample]:
    """Read the samples of an evaluation, which must be those of the row."""
    where, file = f"result {home}", home / "samples.parquet"
    check_hash(file, result.samples_sha256, where)
    check_samples(file)
    own: list[Sample] = list(read_samples(file))
    check_scores(result.scores, own, tier=result.tier, where=where)
    by_key = {(row["dataset"], row["id"]): row for row in own}
    shared = ("cluster", "options", "gold")
    unequal = set()
    for row in samples:
        other = by_key.get((row["dataset"], row["id"]))
        if other is None or any(other[key] != row[key] for key in shared):
            unequal.add(str(row["dataset"]))
    if len(own) != len(samples) or unequal:
        names = sorted(unequal) or sorted({str(row["dataset"]) for row in own})
        raise UsageError(
            f"{where} has other rows than the result of the row in {listing(names)}. Measure the export again on the rows of the "
            "result."
        )
    return by_key


def _table(evaluations: Mapping[str, Mapping[tuple[str, str], Sample]], samples: Sequence[Sample]) -> ScoreTable:
    """Return the scores of the exports with the samples in the order of the run."""
    return score_table({how: [of[(row["dataset"], row["id"])] for row in samples] for how, of in evaluations.items()})
