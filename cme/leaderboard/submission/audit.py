"""Verification of a board: every number of every entry is recomputed from the per-sample scores."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cme.errors import CMEError, UsageError
from cme.leaderboard.entries.agreement import Answered, across, answered
from cme.leaderboard.entries.board import (
    check_comparable,
    entry_files,
    is_reference,
    is_stale_entry,
    load_entry,
    partial_baselines,
    samples_path,
)
from cme.leaderboard.entries.chosen_rows import check_chosen_rows
from cme.leaderboard.entries.escape import printable
from cme.leaderboard.entries.experts import check_base_scores, check_run_experts, experts_files
from cme.leaderboard.entries.files import check_samples
from cme.leaderboard.entries.metadata import called
from cme.leaderboard.entries.router import check_router_worth, router_files
from cme.leaderboard.entries.scores import check_hash, check_scores, different, items_digest
from cme.leaderboard.ranking.aligned_scores import read_columns
from cme.leaderboard.ranking.numbers import listing
from cme.leaderboard.ranking.prompt_variants import check_prompt_variants, sample_files
from cme.leaderboard.ranking.seeds import mean_scores
from cme.records import Entry, EntryRun
from cme.records.samples import read_samples
from cme.suite.score import Sample

__all__ = ["Verdict", "audit", "check_row", "verify"]

_KEPT = (".gitkeep",)
"""Further files that the folders of a board may contain."""

_SHOWN = 5


@dataclass(frozen=True)
class Verdict:
    """The result of checking one entry.

    Attributes:
        name: name of the entry, or of a file that is not an entry; ``*`` for the whole board.
        ok: whether all numbers follow from the per-sample scores.
        message: what was checked, or what is wrong.
    """

    name: str
    ok: bool
    message: str


def verify(entries_dir: Path) -> list[str]:
    """Check a board.

    Args:
        entries_dir: folder of the entries; the samples are in the folder ``samples`` beside it.

    Returns:
        For each entry one line that states what was checked.

    Raises:
        CMEError: `audit` finds a problem; the message lists all of them.
    """
    verdicts = audit(entries_dir)
    if wrong := [verdict for verdict in verdicts if not verdict.ok]:
        raise CMEError("\n".join(verdict.message for verdict in wrong))
    return [f"{verdict.name}: {verdict.message}" for verdict in verdicts]


def audit(entries_dir: Path) -> list[Verdict]:
    """Check every entry of a board, and that the samples folder contains the files of its entries only.

    Each run's scores are recomputed from its samples file, and the row's scores from its runs. No number may differ by more than
    `cme.leaderboard.entries.scores.TOLERANCE`. The numbers of an entry that was scored by an older scorer version are kept. For
    such an entry only the files, the means of its scores and its metadata (`cme.leaderboard.entries.metadata`) are checked.

    Args:
        entries_dir: folder of the entries; the samples are in the folder ``samples`` beside it.

    Returns:
        One verdict per file. If the entries are not comparable, a verdict named ``*`` follows.

    Raises:
        CMEError: the folder is missing.
    """
    verdicts, entries, answers = [], [], {}
    for path in entry_files(entries_dir):
        try:
            entry = load_entry(path)
            message, answers[entry.name] = _checked(entry, entries_dir)
            verdicts.append(Verdict(entry.name, True, message))
            entries.append(entry)
        except CMEError as error:
            verdicts.append(Verdict(ascii(path.stem)[1:-1], False, printable(str(error))))
        except Exception as error:
            # Whatever one entry holds, the others have their verdict.
            message = (
                f"{path} could not be checked ({type(error).__name__}: {str(error)[:200]}). Submit its results again."
            )
            verdicts.append(Verdict(ascii(path.stem)[1:-1], False, printable(message)))
    if all(verdict.ok for verdict in verdicts):
        verdicts += _strange_files(entries, entries_dir)
    try:
        check_comparable(entries)
        verdicts += _strange_samples(entries, entries_dir)
        verdicts += _strange_bases(entries, entries_dir)
        current = [entry for entry in entries if not is_stale_entry(entry)]
        if problems := across(current, answers):
            message = f"these entries cannot be compared on one board. {' '.join(problems)}"
            verdicts.append(Verdict("*", False, printable(message)))
    except UsageError as error:
        verdicts.append(Verdict("*", False, printable(str(error))))
    return verdicts


def check_row(entry: Entry, entries_dir: Path) -> str:
    """Check one entry by itself, as `audit` does.

    Args:
        entry: the entry, as read by `cme.leaderboard.entries.board.load_entry`.
        entries_dir: folder of the entries.

    Returns:
        What was checked.

    Raises:
        CMEError: a number does not follow from the samples, or the samples are not the entry's.
    """
    return _checked(entry, entries_dir)[0]


def _strange_files(entries: Sequence[Entry], entries_dir: Path) -> Iterator[Verdict]:
    """Yield files that belong to no entry, and a samples folder that is a link."""
    samples = samples_path(entries_dir, "x").parent
    if samples.is_symlink():
        yield Verdict("*", False, f"{ascii(str(samples))[1:-1]} is a link. Replace it with the folder itself.")
        return
    known = {path.name for entry in entries for path in sample_files(entry, entries_dir)}
    known |= {*_KEPT, *(f"{entry.name}.json" for entry in entries)}
    for folder in (entries_dir, samples):
        for path in sorted(folder.iterdir()) if folder.is_dir() else []:
            if path.name not in known:
                message = f"{ascii(str(path))[1:-1]} belongs to no entry. Remove it."
                yield Verdict(ascii(path.name)[1:-1], False, message)


def _strange_samples(entries: Sequence[Entry], entries_dir: Path) -> Iterator[Verdict]:
    """Yield partial baselines whose samples are not those of the board's other entries."""
    partial = partial_baselines(entries)
    if not partial:
        return
    whole = next(entry for entry in entries if entry not in partial)
    shared = read_columns(samples_path(entries_dir, whole.name))
    for entry in partial:
        names = [item.dataset for item in entry.scores.datasets]
        same = [{"dataset": name, "id": key} for name in names if name in shared for key in shared[name][0]]
        if not same or items_digest(same) != entry.items:
            message = (
                f"entry {entry.name!r}: its samples of {listing(names)} are not those of the board. Evaluate again."
            )
            yield Verdict(entry.name, False, message)


def _strange_bases(entries: Sequence[Entry], entries_dir: Path) -> Iterator[Verdict]:
    """Yield rows whose scores without any expert are not those of the board's base."""
    current = [entry for entry in entries if not is_stale_entry(entry)]
    base = next((entry for entry in current if entry.method == "base" and not is_reference(entry)), None)
    routed = [entry for entry in current if any(run.experts for run in entry.runs)]
    if base is None or not routed:
        return
    samples = read_samples(samples_path(entries_dir, base.name))
    for entry in routed:
        try:
            check_base_scores(entry, samples, entries_dir)
        except CMEError as error:
            yield Verdict(entry.name, False, printable(str(error)))


def _checked(entry: Entry, entries_dir: Path) -> tuple[str, list[Answered]]:
    """Check an entry, and return what was checked and the answers of its runs (none for a stale entry).

    Raises:
        CMEError: something is wrong.
    """
    where = f"entry {entry.name!r}"
    files = [samples_path(entries_dir, entry.name, k) for k in range(len(entry.runs))]
    for file, run in zip(files, entry.runs, strict=True):
        check_hash(file, run.samples_sha256, where)
        check_samples(file)
    others = [*experts_files(entry, entries_dir), *router_files(entry, entries_dir)]
    for file, hashed in zip(others, [*_expert_hashes(entry), *_router_hashes(entry)], strict=True):
        check_hash(file, hashed, where)
    if is_stale_entry(entry):
        _raise(where, [line for file, run in zip(files, entry.runs, strict=True) for line in _means(run, file)])
        return f"stale (scorer version {entry.scorer_version}), samples unchanged", []
    samples: list[list[Sample]] = [list(read_samples(file)) for file in files]
    for k, (run, of_run) in enumerate(zip(entry.runs, samples, strict=True)):
        label = f"{where}, {called(k, run)}"
        check_scores(run.scores, of_run, tier=entry.tier, where=label)
        if items_digest(of_run) != entry.items:
            raise CMEError(f"{label}: its samples are not the items of the entry. Submit its results again.")
    scores, seed_stderr = mean_scores([run.scores for run in entry.runs], samples, tier=entry.tier)
    changed = different(entry.scores.plain(), scores.plain(), "scores")
    _raise(where, [*changed, *different(entry.seed_stderr, seed_stderr, "seed_stderr")])
    check_chosen_rows(entry, samples, where)
    answers = [answered(of_run) for of_run in samples]
    check_prompt_variants(entry, entries_dir, answers[0].questions)
    for k, run in enumerate(entry.runs):
        check_run_experts(entry, k, samples[k], entries_dir, f"{where}, {called(k, run)}")
        check_router_worth(entry, k, samples[k], entries_dir, f"{where}, {called(k, run)}")
    count = f"{len(samples)} runs, " if len(samples) > 1 else ""
    count += f"{len(scores.datasets)} datasets, {sum(map(len, samples))} samples"
    if analysed := len(_expert_hashes(entry)):
        count += f", {analysed} {'analysis' if analysed == 1 else 'analyses'} of experts"
    if exported := len(_router_hashes(entry)):
        count += f", {exported} {'router' if exported == 1 else 'routers'} against plain LoRA"
    return f"{count}, average {scores.average:.2f} recomputed", answers


def _expert_hashes(entry: Entry) -> list[str]:
    return [run.experts.scores_sha256 for run in entry.runs if run.experts and run.experts.scores_sha256]


def _router_hashes(entry: Entry) -> list[str]:
    return [run.router_worth.scores_sha256 for run in entry.runs if run.router_worth]


def _means(run: EntryRun, file: Path) -> Iterator[str]:
    """Yield datasets whose score is not the mean of their samples' scores."""
    columns = read_columns(file)
    recorded = {item.dataset: item.value for item in run.scores.datasets}
    means = {name: float(values.mean()) for name, (_, _, values) in columns.items()}
    yield from different(recorded, means, "datasets")


def _raise(where: str, problems: Sequence[str]) -> None:
    if problems:
        more = f" and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise CMEError(f"{where}: {'; '.join(problems[:_SHOWN])}{more}. Submit its results again.")
