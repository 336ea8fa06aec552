"""The entries of one table: read, checked to be comparable, ordered."""

from collections.abc import Sequence
from pathlib import Path

from cme.errors import CMEError, UsageError
from cme.leaderboard.entries.agreement import pins
from cme.leaderboard.entries.differences import lacking, split
from cme.leaderboard.entries.files import check_entry, read_entry
from cme.records import Entry
from cme.suite.baselines import BASELINES
from cme.suite.score import SCORER_VERSION

__all__ = [
    "check_comparable",
    "entry_files",
    "is_reference",
    "is_stale_entry",
    "load_entries",
    "load_entry",
    "partial_baselines",
    "ranked",
    "samples_path",
]


def load_entries(entries_dir: Path) -> list[Entry]:
    """Every entry of a folder, by name.

    Raises:
        CMEError: the folder is missing, or a file is no entry, is not named for its entry, or holds what no entry may.
        UsageError: an entry was scored by a newer CME than this one.
    """
    return sorted((load_entry(path) for path in entry_files(entries_dir)), key=lambda entry: entry.name)


def entry_files(entries_dir: Path) -> list[Path]:
    """The files of a folder that should each be an entry.

    Raises:
        CMEError: the folder is missing.
    """
    if not entries_dir.is_dir():
        raise CMEError(f"the entries folder {entries_dir} does not exist. Submit a result into it first.")
    return sorted(entries_dir.glob("*.json"))


def load_entry(path: Path) -> Entry:
    """One entry.

    Raises:
        CMEError: the file is no entry, is not named for its entry, or holds what no entry may.
        UsageError: it was scored by a newer CME than this one.
    """
    entry = read_entry(path)
    if entry.name != path.stem:
        raise CMEError(f"{path} holds the entry {entry.name!r}. Name it {entry.name}.json, or submit it again.")
    check_entry(entry)
    if entry.scorer_version > SCORER_VERSION:
        raise UsageError(
            f"entry {entry.name!r} has scorer version {entry.scorer_version}; this CME knows {SCORER_VERSION}. Upgrade CME."
        )
    return entry


def samples_path(entries_dir: Path, name: str, run: int = 0) -> Path:
    """Where the per-sample scores of an entry's run lie: in ``samples`` beside the entries."""
    return entries_dir.resolve().parent / "samples" / f"{name}.{run}.parquet"


def is_stale_entry(entry: Entry) -> bool:
    """Whether the entry was scored by an older version of the scoring rules."""
    return entry.scorer_version < SCORER_VERSION


def is_reference(entry: Entry) -> bool:
    """Whether the row is there to read others by: a baseline without a model, or a base that was shown examples."""
    return entry.method in BASELINES or (entry.method == "base" and entry.shots > 0)


def ranked(entries: Sequence[Entry]) -> list[Entry]:
    """In the order of the table: by average, best first, then by name; stale entries last."""
    return sorted(entries, key=lambda entry: (is_stale_entry(entry), -entry.scores.average, entry.name))


def partial_baselines(entries: Sequence[Entry]) -> list[Entry]:
    """Baselines that answer some of the table's datasets only, by name.

    The table's datasets are those of the models; without models, those of the baseline that answers most.
    """
    every = [_answered(entry) for entry in entries if entry.method not in BASELINES]
    every = every or sorted((_answered(entry) for entry in entries), key=len)[-1:]
    table = frozenset().union(*every)
    found = [entry for entry in entries if entry.method in BASELINES and _answered(entry) < table]
    return sorted(found, key=lambda entry: entry.name)


def check_comparable(entries: Sequence[Entry]) -> None:
    """Check that entries may stand in one table.

    They must share tier, prompt format, shots, source, data revisions, base, the datasets with their task files, and the
    very rows that were scored. The scorer version may differ: older rows are stale and marked so. A few-shot base may have
    its shots, and a baseline has no base, format or shots. A baseline may answer some of the datasets only
    (`partial_baselines`); whether it answered the same rows there is seen in the samples alone (`make_standing`, `audit`).

    Raises:
        UsageError: they differ in something; the message says which entries have what.
    """
    problems = []
    models = [entry for entry in entries if entry.method not in BASELINES]
    partial = partial_baselines(entries)
    whole = [entry for entry in entries if entry not in partial]
    for what, sharing in (
        ("tier", entries),
        ("prompt_format", models),
        ("shots", [entry for entry in models if not is_reference(entry)]),
        ("source", entries),
    ):
        problems += split(what.replace("_", " "), {entry.name: str(getattr(entry, what)) for entry in sharing})
    # The same weights may be asked for by hub id or by folder: only the fingerprint tells bases apart.
    bases = {entry.base_fingerprint: entry.base for entry in sorted(models, key=lambda entry: entry.name, reverse=True)}
    labels = {fingerprint: f"{base} {fingerprint[:12]}" for fingerprint, base in bases.items()}
    problems += split("base", {entry.name: labels[entry.base_fingerprint] for entry in models})
    problems += lacking("datasets", {entry.name: [item.dataset for item in entry.scores.datasets] for entry in whole})
    for name in sorted({name for entry in entries for name in entry.task_fingerprints}):
        holders = {entry.name: entry.task_fingerprints.get(name) for entry in entries}
        problems += split(f"task file of {name}", {key: value[:12] for key, value in holders.items() if value})
    problems += pins({entry.name: entry.runs[0].provenance.data for entry in entries})
    if not problems:
        problems += split("scored rows", {entry.name: entry.items[:12] for entry in whole})
    if problems:
        raise UsageError(
            "these entries cannot stand in one table. They differ in "
            + "; in ".join(problems)
            + ". Keep one folder of entries per table."
        )


def _answered(entry: Entry) -> frozenset[str]:
    return frozenset(item.dataset for item in entry.scores.datasets)
