"""Row ids of a mix, from which the same mix can be built again (`cme.mix.rebuild`)."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cme.errors import CMEError
from cme.mix.rows import SPLITS, mix_files, read_manifest
from cme.progress import bar
from cme.readers.parquet_file import open_parquet, read_rows
from cme.records.ids import IdsHead, MixOfIds, content_digest
from cme.workdir import claimed

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["CONTENT", "content_of", "mix_ids"]

CONTENT = ("input", "output", "part", "cluster", "choices", "gold", "answers", "long_start", "long_end")
"""Columns of a mix whose values the content digest of a row has. All others follow from them, the id and the manifest."""

_KEPT = ("validation_share", "rows_per_shard", "allow_missing", "uses")
"""Settings of a build that the manifest does not contain."""


def content_of(batch: "pa.RecordBatch") -> list[str]:
    """Compute the content digests of rows of a mix, or of work files.

    Args:
        batch: rows with the columns `CONTENT`.
    """
    return [content_digest([row[name] for name in CONTENT]) for row in read_rows(batch.select(list(CONTENT)))]


def mix_ids(folder: Path) -> "tuple[pa.Table, IdsHead]":
    """Return the row ids of a mix in the order of its rows, and what its file of row ids says about them.

    Args:
        folder: the mix.

    Raises:
        CMEError: the folder is not a mix, is unfinished or damaged.
    """
    import pyarrow as pa

    manifest = read_manifest(folder)
    tables = []
    with bar("Reading the mix", total=manifest.rows + manifest.validation_rows) as shown:
        for split in SPLITS:
            for batch in _batches(folder, split):
                columns = {
                    "dataset": batch["dataset"],
                    "split": pa.repeat(split, len(batch)),
                    "id": batch["id"],
                    "content": pa.array(content_of(batch)),
                }
                tables.append(pa.table(columns))
                shown.advance(len(batch))
    empty = pa.schema([(name, pa.string()) for name in ("dataset", "split", "id", "content")]).empty_table()
    settings = {key: value for key, value in claimed(folder).items() if key in _KEPT}
    mix = MixOfIds(
        manifest=manifest.replace(rebuilt=None),
        rows_per_shard=_rows_per_shard(folder),
        settings=settings,
    )
    return pa.concat_tables([empty, *tables]), IdsHead(mix=mix)


def _batches(folder: Path, split: str) -> "Iterator[pa.RecordBatch]":
    for file in mix_files(folder, split):
        with open_parquet(file, error=CMEError, advice="Copy the mix again, or build it again.") as opened:
            yield from opened.batches(["dataset", "id", *CONTENT])


def _rows_per_shard(folder: Path) -> int:
    """Return the number of rows in the first file of the split with most files. All but the last file of a split have it."""
    sizes: list[list[Any]] = []
    for split in SPLITS:
        sizes.append([])
        for file in mix_files(folder, split):
            with open_parquet(file, error=CMEError, advice="Copy the mix again, or build it again.") as opened:
                sizes[-1].append(opened.metadata.num_rows)
    return max((of[0] for of in sizes if of), default=1) or 1
