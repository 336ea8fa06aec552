"""Chosen rows → Parquet shards in one random order.

A shard that is there already was whole when it got its name, and stays.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cme.files import atomic_path
from cme.mix.collect import WorkFile
from cme.mix.hashes import keys, paraphrase_numbers
from cme.mix.rows import schema
from cme.progress import Bar
from cme.suite import DatasetSpec

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = ["Chosen", "take_first", "write_split"]

_ROW_GROUP = 16_384
_FEW_VALUES = ["instruction", "dataset", "family", "part", "output", "choices.list.element", "cluster"]


@dataclass(frozen=True)
class Chosen:
    """Rows of one dataset that go into a split.

    Attributes:
        spec: the dataset.
        file: its normalised rows.
        rows: row numbers, ascending.
    """

    spec: DatasetSpec
    file: WorkFile
    rows: "NDArray[np.int64]"


def take_first(file: WorkFile, rows: "NDArray[np.int64]", count: int, seed: int) -> "NDArray[np.int64]":
    """The first ``count`` of a dataset's rows in hash order, so that a larger mix contains a smaller one.

    Args:
        file: the dataset's rows.
        rows: the rows to choose from, ascending.
        count: how many.
        seed: the mix's seed.

    Returns:
        Row numbers, ascending.
    """
    import numpy as np

    if count == len(rows):
        return rows
    order = np.argsort(keys(_ids(file, rows), "take", seed), kind="stable")
    return np.sort(rows[order[:count]])


def write_split(
    out: Path, split: str, chosen: list[Chosen], *, seed: int, paraphrase_share: float, rows_per_shard: int, bar: Bar
) -> list[str]:
    """Write a split, all datasets' rows in one order by hash.

    Args:
        out: the mix.
        split: ``train`` or ``validation``.
        chosen: rows by dataset.
        seed: the mix's seed.
        paraphrase_share: share of rows with a paraphrased instruction.
        rows_per_shard: most rows per file.
        bar: moved on by one step per row.

    Returns:
        The files, relative to the mix; one without rows if there are none.
    """
    import numpy as np
    import pyarrow.parquet as pq

    counts = [len(item.rows) for item in chosen]
    owner = np.repeat(np.arange(len(chosen)), counts)
    rows = np.concatenate([item.rows for item in chosen]) if chosen else np.empty(0, dtype=np.int64)
    every = np.concatenate([keys(_ids(item.file, item.rows), "order", seed) for item in chosen]) if chosen else rows
    order = np.argsort(every, kind="stable")
    names = []
    for shard, start in enumerate(range(0, max(1, len(order)), rows_per_shard)):
        names.append(f"{split}/part-{shard:05d}.parquet")
        members = order[start : start + rows_per_shard]
        if (out / names[-1]).is_file():
            bar.advance(len(members))
            continue
        with (
            atomic_path(out / names[-1]) as temporary,
            pq.ParquetWriter(temporary, schema(), compression="zstd", use_dictionary=_FEW_VALUES) as writer,
        ):
            for group in _groups(members):
                writer.write_table(
                    _table(chosen, owner[group], rows[group], paraphrase_share), row_group_size=_ROW_GROUP
                )
                bar.advance(len(group))
    return names


def _groups(members: "NDArray[np.int64]") -> "Iterator[NDArray[np.int64]]":
    for start in range(0, len(members), _ROW_GROUP):
        yield members[start : start + _ROW_GROUP]


def _table(
    chosen: list[Chosen], owner: "NDArray[np.int64]", rows: "NDArray[np.int64]", paraphrase_share: float
) -> "pa.Table":
    """Rows of several datasets, in the given order."""
    import numpy as np
    import pyarrow as pa

    tables, places = [], []
    for number in np.unique(owner):
        place = np.flatnonzero(owner == number)
        place = place[np.argsort(rows[place], kind="stable")]
        tables.append(_complete(chosen[number].file.take(rows[place]), chosen[number].spec, paraphrase_share))
        places.append(place)
    return pa.concat_tables(tables).combine_chunks().take(pa.array(np.argsort(np.concatenate(places))))


def _complete(table: "pa.Table", spec: DatasetSpec, paraphrase_share: float) -> "pa.Table":
    """Work rows → rows of a mix: the dataset's own columns, the instruction and its words."""
    import numpy as np
    import pyarrow as pa

    number = paraphrase_numbers(table["id"].to_pylist(), paraphrase_share, len(spec.instructions))
    length = np.array([len(instruction.split()) for instruction in spec.instructions])
    columns: Mapping[str, pa.Array] = {
        "instruction": pa.array(spec.instructions).take(pa.array(number)),
        "dataset": pa.repeat(pa.scalar(spec.name), len(table)),
        "family": pa.repeat(pa.scalar(spec.family), len(table)),
        "words": pa.array(table["words"].to_numpy() + length[number], type=pa.int32()),
    }
    target = schema()
    return pa.table(
        [columns.get(name, table[name] if name in table.column_names else None) for name in target.names], schema=target
    )


def _ids(file: WorkFile, rows: "NDArray[np.int64]") -> list[str]:
    import pyarrow as pa

    return list(file.column("id").combine_chunks().take(pa.array(rows)).to_pylist())
