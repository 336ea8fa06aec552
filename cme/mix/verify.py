"""Verification of a mix against its manifest."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cme.errors import CMEError
from cme.files import digest, read_json, sha256_file
from cme.mix.rows import MANIFEST, SPLITS, read_manifest
from cme.progress import bar
from cme.readers.parquet_file import open_parquet
from cme.records import Manifest, read_record
from cme.suite import datasets
from cme.suite.suites import ALL

__all__ = ["Verified", "content_fingerprint", "verify"]

_NOT_CONTENT = ("kind", "schema_version", "versions", "fingerprint", "tokens", "rebuilt", "unchecked", "partial")


@dataclass(frozen=True)
class Verified:
    """The result of a verification.

    Attributes:
        files: number of data files that the manifest names.
        size: size of the existing data files in bytes.
        rows: number of rows, by split.
        problems: differences from the manifest. An intact mix has none.
        notes: differences between this version of CME and the version that built the mix. They are not problems of the mix.
    """

    files: int
    size: int
    rows: dict[str, int]
    problems: tuple[str, ...]
    notes: tuple[str, ...]


def content_fingerprint(values: Mapping[str, Any]) -> str:
    """Compute the fingerprint of a manifest: the digest of everything except its head and fields that do not determine the rows.

    Args:
        values: the manifest as JSON values.
    """
    return digest({key: value for key, value in values.items() if key not in _NOT_CONTENT})


def verify(folder: Path) -> Verified:
    """Compare the data files of a mix with its manifest, and the manifest with its own fingerprint.

    Every file is read completely.

    Args:
        folder: the mix.

    Returns:
        The problems and the counts.

    Raises:
        CMEError: the folder is not a mix, is unfinished, or its manifest cannot be read.
    """
    manifest = _manifest(folder)
    problems = _of_manifest(folder, manifest)
    there = [name for name in manifest.files if (folder / name).is_file()]
    problems += [f"{name} is missing" for name in sorted({*manifest.files} - {*there})]
    counts: dict[str, Counter[str]] = {split: Counter() for split in SPLITS}
    whole = len(there) == len(manifest.files)
    with bar("Verifying", total=len(there)) as shown:
        for name in sorted(there):
            shown.describe(f"Verifying {name}")
            if (now := sha256_file(folder / name)) != manifest.files[name]:
                problems.append(
                    f"{name} has changed: its SHA-256 is {now}, but the manifest has {manifest.files[name]}"
                )
            try:
                counts.setdefault(name.partition("/")[0], Counter()).update(_rows(folder / name))
            except CMEError as error:
                problems.append(str(error))
                whole = False
            shown.advance()
    strangers = {file.relative_to(folder).as_posix() for file in folder.rglob("*.parquet")} - {*manifest.files}
    problems += [f"{name} is a Parquet file that the manifest does not name" for name in sorted(strangers)]
    if whole:
        problems += _of_counts(manifest, counts)
    return Verified(
        files=len(manifest.files),
        size=sum((folder / name).stat().st_size for name in there),
        rows={split: count.total() for split, count in counts.items()},
        problems=tuple(problems),
        notes=tuple(_notes(manifest)),
    )


def _manifest(folder: Path) -> Manifest:
    """Return the manifest, even if files are missing, because missing files are among the problems to report."""
    try:
        return read_manifest(folder)
    except CMEError:
        if not (folder / MANIFEST).is_file():
            raise
        manifest = read_record(folder / MANIFEST, Manifest)
        if all((folder / name).is_file() for name in manifest.files):
            raise
        return manifest


def _of_manifest(folder: Path, manifest: Manifest) -> list[str]:
    problems = []
    if content_fingerprint(read_json(folder / MANIFEST)) != manifest.fingerprint:
        problems.append(f"{MANIFEST} was changed: its fingerprint does not match its content")
    for what, total, rows in (
        ("training", manifest.rows, [item.rows for item in manifest.datasets.values()]),
        ("validation", manifest.validation_rows, [item.validation for item in manifest.datasets.values()]),
    ):
        if total != sum(rows):
            problems.append(
                f"{MANIFEST} is inconsistent: it has {total:,} {what} rows in total, but {sum(rows):,} by dataset"
            )
    return problems


def _rows(file: Path) -> dict[str, int]:
    """Count the rows of a Parquet file by dataset.

    Raises:
        CMEError: the file cannot be read, or is not a file of a mix.
    """
    import pyarrow.compute as pc

    with open_parquet(file, where=f"{file.parent.name}/{file.name}", error=CMEError) as opened:
        column = opened.table(["dataset"])["dataset"]
    return {item["values"]: item["counts"] for item in pc.value_counts(column).to_pylist()}


def _of_counts(manifest: Manifest, counts: Mapping[str, Counter[str]]) -> list[str]:
    promised = {
        "train": {name: item.rows for name, item in manifest.datasets.items()},
        "validation": {name: item.validation for name, item in manifest.datasets.items()},
    }
    return [
        f"{split} holds {counts[split][name]:,} rows of {name}, but the manifest has {promised[split].get(name, 0):,}"
        for split in SPLITS
        for name in sorted({*promised[split], *counts[split]})
        if counts[split][name] != promised[split].get(name, 0)
    ]


def _notes(manifest: Manifest) -> list[str]:
    known, notes = datasets(ALL, beside=True), []
    for name, fingerprint in manifest.task_fingerprints.items():
        if name not in known:
            notes.append(f"{name}: this version of CME has no such dataset")
        elif known[name].fingerprint != fingerprint:
            notes.append(f"{name}: its task file has changed since the mix was built")
    return notes
