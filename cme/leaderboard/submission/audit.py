"""Every number of every entry, computed again from the per-sample scores: what a reviewer and CI run on a row."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cme.errors import CMEError, UsageError
from cme.leaderboard.entries.agreement import Answered, across, answered
from cme.leaderboard.entries.board import (
    check_comparable,
    entry_files,
    is_stale_entry,
    load_entry,
    partial_baselines,
    samples_path,
)
from cme.leaderboard.entries.escape import printable
from cme.leaderboard.entries.files import check_samples
from cme.leaderboard.entries.metadata import called
from cme.leaderboard.entries.scores import check_hash, check_scores, different, items_digest
from cme.leaderboard.ranking.aligned_scores import columns_of, read_columns
from cme.leaderboard.ranking.numbers import listing
from cme.leaderboard.ranking.prompt_variants import check_wordings, sample_files
from cme.leaderboard.ranking.seeds import mean_scores
from cme.records import Entry, EntryRun
from cme.records.samples import read_samples
from cme.suite.score import Sample

__all__ = ["Verdict", "audit", "check_row", "verify"]

_KEPT = (".gitkeep",)
"""What may lie beside entries and samples."""

_SHOWN = 5


@dataclass(frozen=True)
class Verdict:
    """What was found of one entry.

    Attributes:
        name: of the entry, or of the file that is none; ``*``: of all of them.
        ok: whether everything follows from the per-sample scores.
        said: what was checked, or what is wrong.
    """

    name: str
    ok: bool
    said: str


def verify(entries_dir: Path) -> list[str]:
    """Check a board.

    Args:
        entries_dir: folder with the entries; the samples lie in ``samples`` beside it.

    Returns:
        One line per entry that says what was checked.

    Raises:
        CMEError: what `audit` finds wrong, in one message.
    """
    verdicts = audit(entries_dir)
    if wrong := [verdict for verdict in verdicts if not verdict.ok]:
        raise CMEError("\n".join(verdict.said for verdict in wrong))
    return [f"{verdict.name}: {verdict.said}" for verdict in verdicts]


def audit(entries_dir: Path) -> list[Verdict]:
    """Check every entry of a board, and that the samples beside it are those of its entries and nothing else.

    Each run's scores are computed again from its file of samples, the row's from its runs; nothing may differ by more than
    `cme.leaderboard.entries.scores.TOLERANCE`. An entry scored by an older version of the rules keeps its numbers: of it only the
    files are checked, the means of its scores, and what `cme.leaderboard.entries.metadata` sees.

    Args:
        entries_dir: folder with the entries; the samples lie in ``samples`` beside it.

    Returns:
        One verdict per file; after them one named ``*``, if the entries cannot stand in one table.

    Raises:
        CMEError: the folder is missing.
    """
    verdicts, entries, found = [], [], {}
    for path in entry_files(entries_dir):
        try:
            entry = load_entry(path)
            said, found[entry.name] = _checked(entry, entries_dir)
            verdicts.append(Verdict(entry.name, True, said))
            entries.append(entry)
        except CMEError as error:
            verdicts.append(Verdict(ascii(path.stem)[1:-1], False, printable(str(error))))
        except Exception as error:
            # Whatever one entry holds, the others have their verdict.
            said = (
                f"{path} could not be checked ({type(error).__name__}: {str(error)[:200]}). Submit its results again."
            )
            verdicts.append(Verdict(ascii(path.stem)[1:-1], False, printable(said)))
    if all(verdict.ok for verdict in verdicts):
        verdicts += _strange_files(entries, entries_dir)
    try:
        check_comparable(entries)
        verdicts += _strange_parts(entries, entries_dir)
        current = [entry for entry in entries if not is_stale_entry(entry)]
        if problems := across(current, found):
            said = f"these entries cannot be compared on one board. {' '.join(problems)}"
            verdicts.append(Verdict("*", False, printable(said)))
    except UsageError as error:
        verdicts.append(Verdict("*", False, printable(str(error))))
    return verdicts


def check_row(entry: Entry, entries_dir: Path) -> str:
    """Check one entry by itself, as `audit` does.

    Args:
        entry: as `cme.leaderboard.entries.board.load_entry` gave it.
        entries_dir: where it was read from.

    Returns:
        What was checked.

    Raises:
        CMEError: a number does not follow from the samples, or the samples are not the entry's.
    """
    return _checked(entry, entries_dir)[0]


def _strange_files(entries: Sequence[Entry], entries_dir: Path) -> Iterator[Verdict]:
    """Files that belong to no entry, and a folder of samples that lies elsewhere."""
    samples = samples_path(entries_dir, "x").parent
    if samples.is_symlink():
        yield Verdict("*", False, f"{ascii(str(samples))[1:-1]} is a link; a board holds plain folders only.")
        return
    known = {path.name for entry in entries for path in sample_files(entry, entries_dir)}
    known |= {*_KEPT, *(f"{entry.name}.json" for entry in entries)}
    for folder in (entries_dir, samples):
        for path in sorted(folder.iterdir()) if folder.is_dir() else []:
            if path.name not in known:
                said = f"{ascii(str(path))[1:-1]} belongs to no entry. Remove it."
                yield Verdict(ascii(path.name)[1:-1], False, said)


def _strange_parts(entries: Sequence[Entry], entries_dir: Path) -> Iterator[Verdict]:
    """Partial baselines that answered other rows than the whole ones did: their items cannot equal those of the table."""
    partial = partial_baselines(entries)
    if not partial:
        return
    whole = next(entry for entry in entries if entry not in partial)
    asked = read_columns(samples_path(entries_dir, whole.name))
    for entry in partial:
        names = [item.dataset for item in entry.scores.datasets]
        same = [{"dataset": name, "id": key} for name in names if name in asked for key in asked[name][0]]
        if not same or items_digest(same) != entry.items:
            said = f"entry {entry.name!r}: its samples are not those of {whole.name!r} on {listing(names)}. Evaluate again."
            yield Verdict(entry.name, False, said)


def _checked(entry: Entry, entries_dir: Path) -> tuple[str, list[Answered]]:
    """What was checked, and what each run answered; nothing of a stale one.

    Raises:
        CMEError: something is wrong.
    """
    where = f"entry {entry.name!r}"
    files = [samples_path(entries_dir, entry.name, k) for k in range(len(entry.runs))]
    for file, run in zip(files, entry.runs, strict=True):
        check_hash(file, run.samples_sha256, where)
        check_samples(file)
    if is_stale_entry(entry):
        _raise(where, [line for file, run in zip(files, entry.runs, strict=True) for line in _means(run, file)])
        return f"scorer version {entry.scorer_version}, stale; its samples are unchanged", []
    samples: list[list[Sample]] = [list(read_samples(file)) for file in files]
    for k, (run, of_run) in enumerate(zip(entry.runs, samples, strict=True)):
        label = f"{where}, {called(k, run)}"
        check_scores(run.scores, of_run, tier=entry.tier, where=label)
        if items_digest(of_run) != entry.items:
            raise CMEError(f"{label}: its samples are not the items of the entry. Submit its results again.")
    scores, seed_stderr = mean_scores(
        [run.scores for run in entry.runs], [columns_of(of_run) for of_run in samples], tier=entry.tier
    )
    found = different(entry.scores.plain(), scores.plain(), "scores")
    _raise(where, [*found, *different(entry.seed_stderr, seed_stderr, "seed_stderr")])
    found_answers = [answered(of_run) for of_run in samples]
    check_wordings(entry, entries_dir, found_answers[0].questions)
    count = f"{len(samples)} runs, " if len(samples) > 1 else ""
    count += f"{len(scores.datasets)} datasets, {sum(map(len, samples))} samples"
    return f"{count}, average {scores.average:.2f} recomputed", found_answers


def _means(run: EntryRun, file: Path) -> Iterator[str]:
    """Datasets whose score is not the mean of their samples', by whatever rules those were given."""
    columns = read_columns(file)
    recorded = {item.dataset: item.value for item in run.scores.datasets}
    means = {name: float(values.mean()) for name, (_, _, values) in columns.items()}
    yield from different(recorded, means, "datasets")


def _raise(where: str, problems: Sequence[str]) -> None:
    if problems:
        more = f" and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise CMEError(f"{where}: {'; '.join(problems[:_SHOWN])}{more}. Submit its results again.")
