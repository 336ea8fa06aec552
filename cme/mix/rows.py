"""Rows of a mix on disk: their columns, functions that read them, and the manifest."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cme.data.example import Example
from cme.errors import CMEError, unknown
from cme.readers.parquet_file import open_parquet
from cme.records import Manifest, read_record
from cme.workdir import is_finished

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["MANIFEST", "SPLITS", "example_from_row", "load_mix", "mix_files", "read_manifest", "schema", "work_schema"]

SPLITS = ("train", "validation")
MANIFEST = "manifest.json"
_MARKER = ".cme.json"
_FILE = re.compile(r"[a-z]+/[A-Za-z0-9][A-Za-z0-9._-]*\.parquet")
"""Names of files that a manifest may contain. They cannot point outside the mix."""


def work_schema() -> "pa.Schema":
    """Return the Arrow schema of normalised rows in work files: the columns of `schema` that differ between rows of a dataset."""
    import pyarrow as pa

    made = ("instruction", "dataset", "family")
    return pa.schema([field for field in schema() if field.name not in made])


def schema(layout: str = "alpaca") -> "pa.Schema":
    """Return the Arrow schema of a mix.

    ``messages`` is the prompt and the answer as turns ``{role, content}`` of user and assistant. ``instruction``, ``input``,
    ``output``, ``id``, ``dataset``, ``family``, ``cluster``, ``choices``, ``gold`` and ``answers`` are fields of
    `cme.data.example.Example`, and ``part`` is its subset. The input is cut to ``max_input_words`` of its dataset.
    ``long_start`` and ``long_end`` are the range of characters of the input that a trainer may cut further, or null. ``words`` is
    the number of words of prompt and output, separated by white space.

    Args:
        layout: ``alpaca``, or ``chat`` for a first column ``messages``.
    """
    import pyarrow as pa

    text, number = pa.string(), pa.int32()
    turn = pa.struct([pa.field("role", text, nullable=False), pa.field("content", text, nullable=False)])
    messages = [pa.field("messages", pa.list_(turn), nullable=False)] if layout == "chat" else []
    return pa.schema(
        [
            *messages,
            pa.field("instruction", text, nullable=False),
            pa.field("input", text, nullable=False),
            pa.field("output", text, nullable=False),
            pa.field("id", text, nullable=False),
            pa.field("dataset", text, nullable=False),
            pa.field("family", text, nullable=False),
            pa.field("part", text, nullable=False),
            pa.field("cluster", text, nullable=False),
            pa.field("choices", pa.list_(text)),
            pa.field("gold", number),
            pa.field("answers", pa.list_(text), nullable=False),
            pa.field("long_start", number),
            pa.field("long_end", number),
            pa.field("words", number, nullable=False),
        ]
    )


def example_from_row(row: Mapping[str, Any]) -> Example:
    """Return the example of a row of a mix, with its cut input and its prompt variant, and without match texts.

    Args:
        row: a row with the columns of `schema`.
    """
    return Example(
        id=row["id"],
        dataset=row["dataset"],
        family=row["family"],
        subset=row["part"],
        cluster=row["cluster"],
        instruction=row["instruction"],
        input=row["input"],
        output=row["output"],
        choices=None if row["choices"] is None else tuple(row["choices"]),
        gold=row["gold"],
        answers=tuple(row["answers"]),
        long=None if row["long_start"] is None else (row["long_start"], row["long_end"]),
    )


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a mix and check that its files exist.

    Args:
        folder: the mix.

    Returns:
        The manifest.

    Raises:
        CMEError: the folder is not a mix, is unfinished, or lacks a file that its manifest names.
    """
    if not folder.is_dir():
        raise CMEError(f"{folder} does not exist. Build a mix with 'cme build-data --out {folder}'.")
    # A mix that was copied without hidden files has no marker. Its manifest is written last and shows that it is complete.
    if (folder / _MARKER).is_file() and not is_finished(folder):
        raise CMEError(f"{folder} is unfinished. Run the command that started it again to continue.")
    if not (folder / MANIFEST).is_file():
        raise CMEError(
            f"{folder} is not a mix, because it has no {MANIFEST}. Build one with 'cme build-data --out FOLDER'."
        )
    manifest = read_record(folder / MANIFEST, Manifest)
    if strange := sorted(name for name in manifest.files if not _FILE.fullmatch(name)):
        raise CMEError(
            f"{folder}: {MANIFEST} names {strange[0][:100]!a}, which is not a file of a mix. Build the mix again."
        )
    if lacking := sorted(name for name in manifest.files if not (folder / name).is_file()):
        raise CMEError(
            f"{folder} lacks {', '.join(lacking)}, which {MANIFEST} names. Copy the mix again, or build it again."
        )
    return manifest


def mix_files(folder: Path, split: str) -> list[Path]:
    """Return the Parquet files of a split, in the order of their rows.

    Args:
        folder: the mix.
        split: one of `SPLITS`.

    Raises:
        UsageError: there is no such split.
        CMEError: see `read_manifest`.
    """
    if split not in SPLITS:
        raise unknown("split of a mix", split, SPLITS)
    return [folder / name for name in sorted(read_manifest(folder).files) if name.startswith(f"{split}/")]


def load_mix(folder: Path, split: str, columns: Sequence[str] | None = None) -> "pa.Table":
    """Read a split of a mix into memory, which takes about 1 to 2 KB per row with all columns.

    The rows are in random order across datasets, so the first n rows of a split are a fair sample of it.

    Args:
        folder: the mix.
        split: ``train`` or ``validation``.
        columns: columns to read; None for all.

    Returns:
        The rows.

    Raises:
        CMEError: a file is damaged, or see `mix_files`.
    """
    import pyarrow as pa

    wanted = None if columns is None else list(columns)
    tables = []
    for file in mix_files(folder, split):
        with open_parquet(file, error=CMEError, advice="Copy the mix again, or build it again.") as opened:
            tables.append(opened.table(wanted))
    return pa.concat_tables(tables)
