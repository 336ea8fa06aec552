"""How far the wording of the prompt moves a score: one model, evaluated with paraphrases of every instruction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cme.errors import CMEError, UsageError
from cme.leaderboard.entries.agreement import answered
from cme.leaderboard.entries.board import samples_path
from cme.leaderboard.entries.differences import split
from cme.leaderboard.entries.files import check_samples
from cme.leaderboard.entries.matching import Pair
from cme.leaderboard.entries.samples import check_answers
from cme.leaderboard.entries.scores import TOLERANCE, check_hash, check_scores, computed_scores, items_digest
from cme.leaderboard.ranking.numbers import listing
from cme.records import Entry, EntryWording, Result, read_record
from cme.records.samples import read_samples
from cme.stats import Spread, prompt_sensitivity
from cme.suite.score import SCORER_VERSION

__all__ = ["Reworded", "check_wordings", "read_wordings", "sample_files", "spread_of", "wording_path", "wordings_of"]

_SHARED = ("base_fingerprint", "tier", "prompt_format", "shots", "source", "dtype", "task_fingerprints", "missing")


@dataclass(frozen=True)
class Reworded:
    """An evaluation whose numbers were computed again from its samples.

    Attributes:
        folder: of the evaluation.
        result: its record.
        items: digest of the scored samples.
    """

    folder: Path
    result: Result
    items: str


def read_wordings(folders: Sequence[Path]) -> list[Reworded]:
    """Evaluations of one model that differ in the wording alone, by wording.

    Raises:
        CMEError: a file is missing or damaged, or a number does not follow from the samples.
        UsageError: fewer than two, or they differ in something else, or two have the same wording.
    """
    found = sorted((_read(folder) for folder in dict.fromkeys(folders)), key=lambda item: item.result.wording)
    if len(found) < 2:
        raise UsageError("one wording shows no spread. Evaluate with another: cme eval … --wording 1")
    problems = []
    for what in _SHARED:
        problems += split(
            what.replace("_", " "), {str(item.folder): _short(getattr(item.result, what)) for item in found}
        )
    problems += split("model", {str(item.folder): _model(item.result)[:12] for item in found})
    problems += split("scored rows", {str(item.folder): item.items[:12] for item in found})
    wordings = [item.result.wording for item in found]
    if len(set(wordings)) < len(wordings):
        problems.append(f"nothing: a wording is there twice ({', '.join(map(str, wordings))})")
    if problems:
        raise UsageError(
            "these are not evaluations of one model in several wordings. They differ in " + "; in ".join(problems) + "."
        )
    return found


def wordings_of(pairs: Sequence[Pair], folders: Sequence[Path]) -> dict[EntryWording, Path]:
    """What a row holds of its paraphrases, and their files of samples.

    Args:
        pairs: the row's results with their runs.
        folders: results of one of the row's models, in other wordings.

    Raises:
        CMEError: as `read_wordings`.
        UsageError: the results are of no model of the row.
    """
    if not folders:
        return {}
    model = _model(read_record(folders[0] / "result.json", Result))
    home = next((item for item in pairs if _model(item.result) == model), None)
    if home is None:
        raise UsageError(f"{folders[0]} is an evaluation of none of the row's models: give paraphrases of one of them.")
    return {
        EntryWording(
            wording=item.result.wording,
            seed=home.seed,
            average=item.result.scores.average,
            samples_sha256=item.result.samples_sha256,
        ): item.folder / "samples.parquet"
        for item in read_wordings([home.folder, *folders])
        if item.folder != home.folder
    }


def wording_path(entries_dir: Path, name: str, wording: int) -> Path:
    """Where the per-sample scores of an entry's paraphrase lie: beside those of its runs."""
    path = samples_path(entries_dir, name)
    return path.with_name(f"{name}.wording-{wording}.parquet")


def sample_files(entry: Entry, entries_dir: Path) -> list[Path]:
    """Every file of samples of an entry: of its runs, then of its wordings."""
    runs = [samples_path(entries_dir, entry.name, k) for k in range(len(entry.runs))]
    return [*runs, *(wording_path(entries_dir, entry.name, item.wording) for item in entry.wordings)]


def check_wordings(entry: Entry, entries_dir: Path, questions: Mapping[str, str]) -> None:
    """Check every paraphrase of an entry against its per-sample scores.

    Args:
        entry: the row.
        entries_dir: where it was read from.
        questions: what its runs were asked (`cme.leaderboard.entries.agreement.answered`).

    Raises:
        CMEError: a file is missing or another one, a number does not follow from it, or it has other items.
    """
    seeds, wordings = [run.seed for run in entry.runs], [item.wording for item in entry.wordings]
    where = f"entry {entry.name!r}"
    if 0 in wordings or wordings != sorted(set(wordings)) or len({item.seed for item in entry.wordings}) > 1:
        raise CMEError(f"{where}: its wordings are {wordings}; expected different ones above 0, of one run.")
    for item in entry.wordings:
        path, label = wording_path(entries_dir, entry.name, item.wording), f"{where}, wording {item.wording}"
        if item.seed not in seeds:
            raise CMEError(f"{label}: it is of seed {item.seed}, which the row has not.")
        check_hash(path, item.samples_sha256, label)
        check_samples(path)
        samples = read_samples(path)
        if items_digest(samples) != entry.items:
            raise CMEError(f"{label}: its samples are not the items of the entry. Submit its results again.")
        asked = answered(samples).questions
        if changed := [name for name in asked if asked[name] != questions.get(name)]:
            raise CMEError(
                f"{label}: parts, clusters, options or right answers of {listing(changed)} are not those of the entry's runs. "
                "Submit its results again."
            )
        average = computed_scores(samples, tier=entry.tier, where=label).average
        check_answers(samples, label)
        if abs(average - item.average) > TOLERANCE:
            raise CMEError(f"{label}: its average is {item.average:.12g}, recomputed {average:.12g}. Submit it again.")


def spread_of(entry: Entry) -> Spread | None:
    """Spread of the CME average over all wordings of the run that was asked in several; None: there are none."""
    if not entry.wordings:
        return None
    run = next((run for run in entry.runs if run.seed == entry.wordings[0].seed), None)
    return prompt_sensitivity([run.scores.average, *(item.average for item in entry.wordings)]) if run else None


def _read(folder: Path) -> Reworded:
    result = read_record(folder / "result.json", Result)
    where, file = f"result {folder}", folder / "samples.parquet"
    if result.scorer_version != SCORER_VERSION:
        raise UsageError(
            f"{where} has scorer version {result.scorer_version}; this CME has {SCORER_VERSION}. Evaluate again."
        )
    check_hash(file, result.samples_sha256, where)
    check_samples(file)
    samples = read_samples(file)
    check_scores(result.scores, samples, tier=result.tier, where=where)
    return Reworded(folder, result, items_digest(samples))


def _model(result: Result) -> str:
    return result.adapter.fingerprint if result.adapter else result.base_fingerprint


def _short(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {str(item)[:8]}" for key, item in sorted(value.items()))
    return str(value)
