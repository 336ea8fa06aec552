"""Parquet shards with the chosen rows in random order.

A process gathers, sorts and compresses the rows of one shard at a time. A shard that matches its marker (`cme.mix.step_markers`)
is not written again.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cme.files import atomic_path
from cme.mix.hashes import variant_numbers
from cme.mix.rows import schema
from cme.mix.step_markers import is_marked, mark, marked_digests
from cme.mix.work_files import TrainFile
from cme.mix.workers import Workers
from cme.suite import DatasetSpec

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = ["Chosen", "Split", "take_first", "write_splits"]

_ROW_GROUP = 16_384
_FEW_VALUES = ["instruction", "dataset", "family", "part", "output", "choices.list.element", "cluster"]


@dataclass(frozen=True)
class Chosen:
    """Rows of one dataset that go into a split.

    Attributes:
        spec: the dataset.
        file: its normalised rows.
        rows: row numbers, ascending.
        order: sort keys of these rows.
    """

    spec: DatasetSpec
    file: TrainFile
    rows: "NDArray[np.int64]"
    order: "NDArray[np.uint64]"


@dataclass(frozen=True)
class Split:
    """The content of a split.

    Attributes:
        name: ``train`` or ``validation``.
        chosen: rows of each dataset.
        prompt_variant_share: see `cme.mix.settings.BuildSettings`.
    """

    name: str
    chosen: Sequence[Chosen]
    prompt_variant_share: float = 0.0


def take_first(take: "NDArray[np.uint64]", rows: "NDArray[np.int64]", count: int) -> "NDArray[np.int64]":
    """Return the first ``count`` rows of a dataset in hash order, so that a larger mix contains a smaller one.

    Args:
        take: sort key of every row of the dataset.
        rows: numbers of the rows to choose from, ascending.
        count: number of rows.

    Returns:
        Row numbers, ascending.
    """
    import numpy as np

    if count == len(rows):
        return rows
    order = np.argsort(take[rows], kind="stable")
    return np.sort(rows[order[:count]])


def write_splits(
    out: Path,
    splits: Sequence[Split],
    work: Path,
    *,
    layout: str,
    rows_per_shard: int,
    workers: Workers,
    advance: Callable[[int], None],
) -> dict[str, str]:
    """Write splits. The rows of all datasets are in one hash order.

    Args:
        out: folder of the mix.
        splits: the splits.
        work: folder of the work files.
        layout: ``alpaca`` or ``chat``, see `cme.mix.rows.schema`.
        rows_per_shard: most rows per file.
        workers: worker processes.
        advance: called with numbers of written rows.

    Returns:
        SHA-256 of each file, by its path relative to the mix. A split without rows has one file.
    """
    shards = [shard for split in splits for shard in _shards(split, rows_per_shard)]
    open_ = [shard for shard in shards if not is_marked(_marker(work, shard))]
    advance(sum(shard.rows for shard in shards) - sum(shard.rows for shard in open_))
    workers.run(
        partial(_write_shard, out=out, work=work, layout=layout),
        open_,
        rows=sum(shard.rows for shard in open_),
        advance=lambda shard: advance(shard.rows),
    )
    return {shard.name: marked_digests(_marker(work, shard))[0] for shard in shards}


@dataclass(frozen=True)
class _Slice:
    """Rows of one dataset in a shard, with their numbers (ascending) and their positions in the split."""

    spec: DatasetSpec
    file: TrainFile
    rows: "NDArray[np.int64]"
    places: "NDArray[np.int64]"


@dataclass(frozen=True)
class _Shard:
    """A file to write. Its name is relative to the mix."""

    name: str
    slices: tuple[_Slice, ...]
    prompt_variant_share: float

    @property
    def rows(self) -> int:
        return sum(len(item.rows) for item in self.slices)


def _shards(split: Split, rows_per_shard: int) -> Iterator[_Shard]:
    import numpy as np

    every = np.concatenate([item.order for item in split.chosen]) if split.chosen else np.empty(0, dtype=np.uint64)
    places = np.empty(len(every), dtype=np.int64)
    places[np.argsort(every, kind="stable")] = np.arange(len(every))
    own = np.split(places, np.cumsum([len(item.rows) for item in split.chosen])[:-1])
    for number in range(max(1, -(-len(every) // rows_per_shard))):
        first, slices = number * rows_per_shard, []
        for item, place in zip(split.chosen, own, strict=False):
            at = np.flatnonzero((place >= first) & (place < first + rows_per_shard))
            if len(at):
                slices.append(_Slice(item.spec, item.file, item.rows[at], place[at]))
        yield _Shard(f"{split.name}/part-{number:05d}.parquet", tuple(slices), split.prompt_variant_share)


def _write_shard(shard: _Shard, *, out: Path, work: Path, layout: str) -> None:
    """Gather, sort and write the rows of a shard."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    target = schema(layout)
    tables = (
        _complete(item.file.texts(item.rows), item.spec, shard.prompt_variant_share, layout) for item in shard.slices
    )
    table = pa.concat_tables([target.empty_table(), *tables]).combine_chunks()
    order = pa.array(np.argsort(np.concatenate([np.empty(0, np.int64), *(item.places for item in shard.slices)])))
    with (
        atomic_path(out / shard.name) as temporary,
        pq.ParquetWriter(temporary, target, compression="zstd", use_dictionary=_FEW_VALUES) as writer,
    ):
        for start in range(0, len(order), _ROW_GROUP):
            writer.write_table(table.take(order.slice(start, _ROW_GROUP)), row_group_size=_ROW_GROUP)
    mark(_marker(work, shard), [out / shard.name])


def _marker(work: Path, shard: _Shard) -> Path:
    return work / "shards" / f"{shard.name}.json"


def _complete(table: "pa.Table", spec: DatasetSpec, prompt_variant_share: float, layout: str) -> "pa.Table":
    """Add the dataset, the instruction and its words to rows of work files, which makes them rows of a mix."""
    import numpy as np
    import pyarrow as pa

    number = variant_numbers(table["id"].to_pylist(), prompt_variant_share, len(spec.instructions))
    length = np.array([len(instruction.split()) for instruction in spec.instructions])
    columns: dict[str, pa.Array | pa.ChunkedArray] = {
        "instruction": pa.array(spec.instructions).take(pa.array(number)),
        "dataset": pa.repeat(pa.scalar(spec.name), len(table)),
        "family": pa.repeat(pa.scalar(spec.family), len(table)),
        "words": pa.array(table["words"].to_numpy() + length[number], type=pa.int32()),
    }
    if layout == "chat":
        columns["messages"] = _messages(columns["instruction"], table)
    target = schema(layout)
    return pa.table(
        [columns.get(name, table[name] if name in table.column_names else None) for name in target.names], schema=target
    )


def _messages(instruction: "pa.Array", table: "pa.Table") -> "pa.Array":
    """Return the turns of every row. The prompt is the same as that of `cme.prompt.prompt_text`."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    given, answer = table["input"].combine_chunks(), table["output"].combine_chunks()
    with_input = pc.binary_join_element_wise(instruction, given, "\n")
    prompt = pc.if_else(pc.equal(given, ""), instruction, with_input)
    count = len(table)
    both = pa.concat_arrays([prompt, answer]).take(pa.array(np.arange(2 * count).reshape(2, count).T.ravel()))
    roles = pa.array(["user", "assistant"]).take(pa.array(np.tile([0, 1], count)))
    fields = list(schema("chat").field("messages").type.value_type)
    turns = pa.StructArray.from_arrays([roles, both], fields=fields)
    return pa.ListArray.from_arrays(pa.array(np.arange(0, 2 * count + 1, 2), pa.int32()), turns)
