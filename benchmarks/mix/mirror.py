"""A mirror of all 22 datasets at their published sizes, or a share of these sizes, with synthetic rows.

The rows are fast to generate, and building a mix of them takes as much work as with the real rows. They have the same columns,
numbers of rows and lengths of texts, and passages that several questions share. Few texts are similar by chance, and the
numbers of duplicates and leaks are known.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.mix.plant import Row, duplicates, leaks, make, plants
from cme.errors import UsageError
from cme.files import atomic_path, read_json, write_json
from cme.progress import bar
from cme.suite import Subset, datasets

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["LEAST_SHARE", "MirrorFile", "Planted", "mirror_files", "planted", "write_mirror"]

LEAST_SHARE = 0.005
"""Smallest share of the published sizes. With less, the smallest datasets have too few rows for a mix."""

_VERSION = 1
_ABOUT = "mirror.json"
_SHARD = 100_000
_BATCH = 10_000  # A duplicate and the row that it repeats are always in the same batch.
_PARTS = {
    ("anli", "r1"): (16_946, 1_000),
    ("anli", "r2"): (45_460, 1_000),
    ("anli", "r3"): (100_459, 1_200),
    ("arc", "arc_challenge"): (1_119, 1_172),
    ("arc", "arc_easy"): (2_251, 2_376),
}
"""Published numbers of training and evaluation rows of each subset, for datasets with several subsets."""


@dataclass(frozen=True)
class MirrorFile:
    """One split of one subset.

    Attributes:
        dataset: Name of the dataset.
        folder: Folder of the subset.
        split: Name of the split on the hub.
        rows: Number of rows.
        own: Folder and split of the subset's evaluation rows, or None if this file contains evaluation rows.
        number: Number of the file in the mirror.
    """

    dataset: str
    folder: str
    split: str
    rows: int
    own: str | None
    number: int

    @property
    def name(self) -> str:
        """Folder and split, such as ``race/train``."""
        return f"{self.folder}/{self.split}"

    @property
    def shards(self) -> list[tuple[str, range]]:
        """Paths in the mirror's folder, named as on the hub, with the rows of each path."""
        starts = range(0, self.rows, _SHARD)
        return [
            (f"{self.name}-{k:05}-of-{len(starts):05}.parquet", range(start, min(start + _SHARD, self.rows)))
            for k, start in enumerate(starts)
        ]


@dataclass(frozen=True)
class Planted:
    """The numbers of planted rows in a mirror.

    Attributes:
        duplicates: Training rows that repeat an earlier row, by dataset.
        leaks: Training rows that decontamination must detect, by training dataset, evaluation dataset and rule.
        near_misses: Training rows that resemble evaluation rows and must be kept, by dataset.
    """

    duplicates: dict[str, int]
    leaks: dict[tuple[str, str, str], int]
    near_misses: dict[str, int]


def mirror_files(share: float) -> dict[str, MirrorFile]:
    """Return the files of a mirror by folder and split.

    Args:
        share: Share of the published numbers of rows, at least `LEAST_SHARE`.

    Raises:
        UsageError: The share is out of range.
    """
    if not LEAST_SHARE <= share <= 1:
        raise UsageError(f"the share of a mirror's rows must be from {LEAST_SHARE} to 1, found {share}.")
    files: dict[str, MirrorFile] = {}
    for spec in datasets(beside=True).values():
        for subset in spec.subsets:
            published = _PARTS.get((spec.name, subset.name), (spec.rows["train"], spec.rows["eval"]))
            for split, rows, own in _splits(subset, published):
                name = f"{subset.folder}/{split}"
                if name not in files:
                    rows = max(1, round(rows * share))
                    files[name] = MirrorFile(spec.name, subset.folder, split, rows, own, len(files))
    return files


def planted(share: float) -> Planted:
    """Count the rows that `write_mirror` plants, without generating rows."""
    files = mirror_files(share)
    counts = Planted({}, {}, {})
    for file in files.values():
        if file.own is None:
            continue
        dataset, rows = file.dataset, range(file.rows)
        counts.duplicates[dataset] = counts.duplicates.get(dataset, 0) + sum(1 for _ in duplicates(0, file.rows))
        for number, plant in enumerate(plants(file.name)):
            source = files[plant.source or file.own]
            count = sum(1 for _ in leaks(file.name, number, rows, source.rows))
            if plant.rule is None:
                counts.near_misses[dataset] = counts.near_misses.get(dataset, 0) + count
            elif count:
                key = (dataset, source.dataset, plant.rule)
                counts.leaks[key] = counts.leaks.get(key, 0) + count
    return counts


def write_mirror(folder: Path, share: float, *, seed: int = 0, workers: int = 1) -> Path:
    """Write a mirror. After an interruption, a second call writes the missing files. A complete mirror is not changed.

    Args:
        folder: The folder of the mirror. It must be new, empty, or a mirror with the same settings.
        share: Share of the published numbers of rows.
        seed: Seed of the texts. It does not affect their numbers.
        workers: Number of processes.

    Returns:
        The folder.

    Raises:
        UsageError: The share is out of range, or the folder contains something else.
    """
    files = mirror_files(share)
    _claim(folder, {"cme bench data": _VERSION, "share": share, "seed": seed})
    tasks = [
        (folder / path, share, seed, file.name, rows.start, rows.stop)
        for file in files.values()
        for path, rows in file.shards
        if not (folder / path).is_file()
    ]
    with bar("Generating rows", total=len(tasks)) as shown:
        if workers == 1 or len(tasks) < 2:
            for task in tasks:
                _write_shard(*task)
                shown.advance()
            return folder
        from concurrent.futures import ProcessPoolExecutor, as_completed
        from multiprocessing import get_context

        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            for future in as_completed([pool.submit(_write_shard, *task) for task in tasks]):
                future.result()
                shown.advance()
    return folder


def _splits(subset: Subset, published: tuple[int, int]) -> Iterator[tuple[str, int, str | None]]:
    yield subset.train, published[0], f"{subset.folder}/{subset.eval}"
    yield subset.eval, published[1], None


def _claim(folder: Path, settings: Mapping[str, object]) -> None:
    about = folder / _ABOUT
    if about.is_file():
        if (stored := read_json(about)) != settings:
            raise UsageError(f"{folder} holds a mirror with the settings {stored} instead of {settings}. Remove it.")
        for leftover in folder.rglob(".*.tmp"):
            leftover.unlink()
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            f"{folder} is not empty and holds no mirror of 'python -m benchmarks.mix'. Choose another folder."
        )
    else:
        write_json(about, settings)


def _write_shard(path: Path, share: float, seed: int, name: str, start: int, stop: int) -> None:
    import pyarrow.parquet as pq

    files = mirror_files(share)
    first = _batch(files[name], seed, start)
    with (
        atomic_path(path) as temporary,
        pq.ParquetWriter(temporary, first.schema, use_dictionary=False) as writer,
    ):
        for at in range(start, stop, _BATCH):
            table = first if at == start else _batch(files[name], seed, at)
            writer.write_table(_with_plants(files, files[name], seed, at, table))


def _batch(file: MirrorFile, seed: int, start: int) -> "pa.Table":
    """Generate rows of a file, without planted rows."""
    import numpy as np
    import pyarrow as pa

    from benchmarks.mix.kit import Kit
    from benchmarks.mix.tables import TABLES

    rng = np.random.default_rng([seed, file.number, start])
    rows = min(_BATCH, file.rows - start)
    return pa.table(dict(TABLES[file.folder](Kit(rng, file.number, start, rows, file.own is not None))))


_source_batch = lru_cache(maxsize=3)(_batch)


def _with_plants(
    files: Mapping[str, MirrorFile], file: MirrorFile, seed: int, start: int, table: "pa.Table"
) -> "pa.Table":
    """Replace rows with the planted rows."""
    import numpy as np
    import pyarrow as pa

    if file.own is None:
        return table
    rows = range(start, start + len(table))
    order = np.arange(len(table))
    made: list[Row] = []
    for number, plant in enumerate(plants(file.name)):
        source = files[plant.source or file.own]
        for row, chosen in leaks(file.name, number, rows, source.rows):
            at = chosen // _BATCH * _BATCH
            other = _source_batch(source, seed, at).slice(chosen - at, 1).to_pylist()[0]
            order[row - start] = len(table) + len(made)
            made.append(make(plant, file.folder, table.slice(row - start, 1).to_pylist()[0], other))
    for row, repeated in duplicates(rows.start, rows.stop):
        order[row - start] = repeated - start
    return pa.concat_tables([table, pa.Table.from_pylist(made, schema=table.schema)]).take(pa.array(order))
