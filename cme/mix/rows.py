"""Rows of a mix on disk: their columns, how to read them back, and the manifest beside them."""

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
"""What a manifest may call a file: a name in it never leads out of the mix."""


def work_schema() -> "pa.Schema":
    """Arrow schema of normalised rows before they are chosen: those columns of `schema` that are a row's own."""
    import pyarrow as pa

    made = ("instruction", "dataset", "family")
    return pa.schema([field for field in schema() if field.name not in made])


def schema(layout: str = "alpaca") -> "pa.Schema":
    """Arrow schema of a mix, the Alpaca columns first; before them ``messages`` in the ``chat`` layout.

    messages: prompt and answer as turns ``{role, content}`` of user and assistant.

    instruction, input, output: see `cme.data.Example`; the input is cut to its dataset's ``max_input_words``. id,
    dataset, family, part, cluster, choices, gold, answers: see there too. long_start, long_end: the part of the input
    (characters) that a trainer may cut further, null where nothing may be cut. words: white-space separated words of
    prompt and output.
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
    """The example that a row of a mix was written from: cut, with its chosen instruction, without match texts.

    Args:
        row: one row with the columns of `schema`.
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
    """Read a mix's manifest and see that its files are there.

    Raises:
        CMEError: the folder is no mix, is unfinished, or lacks a file that its manifest names.
    """
    if not folder.is_dir():
        raise CMEError(f"{folder} does not exist. Build a mix with: cme build-data --out {folder}")
    # A mix that was copied without dot files has no marker; its manifest, written last, then speaks for it.
    if (folder / _MARKER).is_file() and not is_finished(folder):
        raise CMEError(f"{folder} is unfinished. Run the command that started it again to continue.")
    if not (folder / MANIFEST).is_file():
        raise CMEError(f"{folder} is not a mix: it has no {MANIFEST}. Build one with: cme build-data --out FOLDER")
    manifest = read_record(folder / MANIFEST, Manifest)
    if strange := sorted(name for name in manifest.files if not _FILE.fullmatch(name)):
        raise CMEError(
            f"{folder}: its {MANIFEST} names {strange[0][:100]!a}, which is no file of a mix. Build it again."
        )
    if lacking := sorted(name for name in manifest.files if not (folder / name).is_file()):
        raise CMEError(
            f"{folder} lacks {', '.join(lacking)}, which its {MANIFEST} names. Copy the mix again, or build it again."
        )
    return manifest


def mix_files(folder: Path, split: str) -> list[Path]:
    """The Parquet files of a split, in row order.

    Args:
        folder: the mix.
        split: one of `SPLITS`.

    Raises:
        CMEError: no such split, or see `read_manifest`.
    """
    if split not in SPLITS:
        raise unknown("split of a mix", split, SPLITS)
    return [folder / name for name in sorted(read_manifest(folder).files) if name.startswith(f"{split}/")]


def load_mix(folder: Path, split: str, columns: Sequence[str] | None = None) -> "pa.Table":
    """Read a split of a mix into memory (about 1 to 2 KB per row with all columns).

    Any first rows of a split are a fair sample of it: rows lie in a random order across datasets.

    Args:
        folder: the mix.
        split: ``train`` or ``validation``.
        columns: columns to read; None: all.

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
