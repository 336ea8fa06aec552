"""The entries of one board: reading them, checking that they are comparable, and their order."""

from collections.abc import Sequence
from pathlib import Path

from cme.errors import CMEError, UsageError
from cme.leaderboard.entries.agreement import pins
from cme.leaderboard.entries.chosen_rows import rows_label
from cme.leaderboard.entries.differences import lacking, split
from cme.leaderboard.entries.files import check_entry, read_entry
from cme.records import Entry
from cme.suite.baselines import BASELINES
from cme.suite.score import SCORER_VERSION, suite_of

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
    """Load all entries of a folder, sorted by name.

    Raises:
        CMEError: The folder is missing, or a file is not a valid entry, or its name is not the entry's name.
        UsageError: An entry was scored by a newer version of CME.
    """
    return sorted((load_entry(path) for path in entry_files(entries_dir)), key=lambda entry: entry.name)


def entry_files(entries_dir: Path) -> list[Path]:
    """List the files of a folder that should each hold an entry.

    Raises:
        CMEError: The folder is missing.
    """
    if entries_dir.exists() and not entries_dir.is_dir():
        raise CMEError(f"{entries_dir} is a file. Give the folder of the entries.")
    if not entries_dir.is_dir():
        raise CMEError(f"the entries folder {entries_dir} does not exist. Submit a result into it first.")
    return sorted(entries_dir.glob("*.json"))


def load_entry(path: Path) -> Entry:
    """Load one entry.

    Raises:
        CMEError: The file is not a valid entry, or its name is not the entry's name.
        UsageError: The entry was scored by a newer version of CME.
    """
    entry = read_entry(path)
    if entry.name != path.stem:
        raise CMEError(
            f"{path} holds the entry {entry.name!r}. Rename the file to {entry.name}.json, or submit the entry again."
        )
    check_entry(entry)
    if entry.scorer_version > SCORER_VERSION:
        raise UsageError(
            f"entry {entry.name!r} has scorer version {entry.scorer_version}, but this version of CME knows versions up to "
            f"{SCORER_VERSION}. Upgrade CME."
        )
    return entry


def samples_path(entries_dir: Path, name: str, run: int = 0) -> Path:
    """Return the path of the per-sample scores of an entry's run, in the folder ``samples`` beside the entries."""
    return entries_dir.resolve().parent / "samples" / f"{name}.{run}.parquet"


def is_stale_entry(entry: Entry) -> bool:
    """Return whether the entry was scored by an older version of the scoring rules."""
    return entry.scorer_version < SCORER_VERSION


def is_reference(entry: Entry) -> bool:
    """Return whether the entry is a reference row: a baseline without a model, or a base with examples in the prompt."""
    return entry.method in BASELINES or (entry.method == "base" and entry.shots > 0)


def ranked(entries: Sequence[Entry]) -> list[Entry]:
    """Sort entries as the table shows them: by average (best first), then by name. Stale entries come last."""
    return sorted(entries, key=lambda entry: (is_stale_entry(entry), -entry.scores.average, entry.name))


def partial_baselines(entries: Sequence[Entry]) -> list[Entry]:
    """Return the reference rows that answer only some of the board's datasets, sorted by name.

    A base with examples in the prompt lacks the datasets of which its source has no training rows. The board's datasets are those
    of its models. On a board without models they are those of the reference row that answers most.
    """
    every = [_answered(entry) for entry in entries if not is_reference(entry)]
    every = every or sorted((_answered(entry) for entry in entries), key=len)[-1:]
    table = frozenset().union(*every)
    partial = [entry for entry in entries if is_reference(entry) and _answered(entry) < table]
    return sorted(partial, key=lambda entry: entry.name)


def check_comparable(entries: Sequence[Entry]) -> None:
    """Check that entries can be compared on one board.

    Entries must share the suite, the tier, the prompt format, the shots, the source, the data revisions, the base, its
    tokenizer, the datasets with their task files, the number of rows of each dataset, and the scored samples. Exceptions:

    * The scorer version may differ. Older entries are marked as stale.
    * A base with examples in the prompt has its own number of shots, and may lack datasets (`partial_baselines`).
    * Entries of earlier versions do not record the tokenizer.
    * A baseline has no base, prompt format or shots, and may answer some of the datasets only (`partial_baselines`).
      Only its samples show whether it answered the same ones there; `make_standing` and `audit` check this.

    Raises:
        UsageError: The entries differ. The message lists which entries have which value.
    """
    if several := split("suite", {entry.name: suite_of(entry.scores).title for entry in entries}):
        raise UsageError(
            f"these entries are of several suites, whose averages are never mixed. They differ in {several[0]}. Keep one folder "
            "of entries per suite."
        )
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
    # The same weights may be named by hub id or by folder, so only the fingerprint identifies a base.
    bases = {entry.base_fingerprint: entry.base for entry in sorted(models, key=lambda entry: entry.name, reverse=True)}
    labels = {fingerprint: f"{base} {fingerprint[:12]}" for fingerprint, base in bases.items()}
    problems += split("base", {entry.name: labels[entry.base_fingerprint] for entry in models})
    tokenizers = {entry.name: _tokenizers(entry) for entry in models}
    problems += split("tokenizer", {name: fingerprints for name, fingerprints in tokenizers.items() if fingerprints})
    problems += lacking("datasets", {entry.name: [item.dataset for item in entry.scores.datasets] for entry in whole})
    for name in sorted({name for entry in entries for name in entry.task_fingerprints}):
        holders = {entry.name: entry.task_fingerprints.get(name) for entry in entries}
        problems += split(f"task file of {name}", {key: value[:12] for key, value in holders.items() if value})
    problems += pins({entry.name: entry.runs[0].provenance.data for entry in entries})
    other_rows = split("rows per dataset", {entry.name: rows_label(entry.rows) for entry in whole})
    problems += other_rows
    if not problems:
        problems += split("scored rows", {entry.name: entry.items[:12] for entry in whole})
    if problems:
        raise UsageError(
            "these entries cannot be compared on one board. They differ in "
            + "; in ".join(problems)
            + ". Keep one folder of entries per board"
            + (", or evaluate all rows of the board with 'cme eval --rows-of'." if other_rows else ".")
        )


def _answered(entry: Entry) -> frozenset[str]:
    return frozenset(item.dataset for item in entry.scores.datasets)


def _tokenizers(entry: Entry) -> str:
    """Return the first characters of the fingerprints of the tokenizers of an entry's runs; empty if none is recorded."""
    fingerprints = [run.provenance.evaluation.tokenizer_fingerprint for run in entry.runs]
    return ", ".join(dict.fromkeys(fingerprint[:12] for fingerprint in fingerprints if fingerprint))
