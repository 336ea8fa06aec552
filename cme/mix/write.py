"""Chosen rows → Parquet shards in one random order.

Two passes, so that no more than a shard is ever in memory: each piece of the work files is read once, in order, and its chosen
rows go to the files of the shards they belong to; then each shard is put in order and compressed. A shard that is there
already, and is what its marker says (`cme.mix.marks`), stays.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from cme.files import atomic_path
from cme.mix.hashes import paraphrase_numbers
from cme.mix.marks import is_marked, mark
from cme.mix.rows import schema
from cme.mix.work_files import TrainFile, read_arrow
from cme.mix.workers import run_tasks
from cme.suite import DatasetSpec

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = ["Chosen", "take_first", "write_split"]

_ROW_GROUP = 16_384
_FEW_VALUES = ["instruction", "dataset", "family", "part", "output", "choices.list.element", "cluster"]
_PLACE = "__place"


@dataclass(frozen=True)
class Chosen:
    """Rows of one dataset that go into a split.

    Attributes:
        spec: the dataset.
        file: its normalised rows.
        rows: row numbers, ascending.
        order: hash order of those rows.
    """

    spec: DatasetSpec
    file: TrainFile
    rows: "NDArray[np.int64]"
    order: "NDArray[np.uint64]"


def take_first(take: "NDArray[np.uint64]", rows: "NDArray[np.int64]", count: int) -> "NDArray[np.int64]":
    """The first ``count`` of a dataset's rows in hash order, so that a larger mix contains a smaller one.

    Args:
        take: place of every row of the dataset in that order.
        rows: the rows to choose from, ascending.
        count: how many.

    Returns:
        Row numbers, ascending.
    """
    import numpy as np

    if count == len(rows):
        return rows
    order = np.argsort(take[rows], kind="stable")
    return np.sort(rows[order[:count]])


def write_split(
    out: Path,
    split: str,
    chosen: Sequence[Chosen],
    work: Path,
    *,
    layout: str,
    paraphrase_share: float,
    rows_per_shard: int,
    workers: int,
    advance: Callable[[int], None],
) -> list[str]:
    """Write a split, all datasets' rows in one order by hash.

    Args:
        out: the mix.
        split: ``train`` or ``validation``.
        chosen: rows by dataset.
        work: folder of the work files.
        layout: ``alpaca`` or ``chat``, see `cme.mix.rows.schema`.
        paraphrase_share: share of rows with a paraphrased instruction.
        rows_per_shard: most rows per file.
        workers: processes.
        advance: told of rows written.

    Returns:
        The files, relative to the mix; one without rows if there are none.
    """
    import numpy as np

    every = np.concatenate([item.order for item in chosen]) if chosen else np.empty(0, dtype=np.uint64)
    places = np.empty(len(every), dtype=np.int64)
    places[np.argsort(every, kind="stable")] = np.arange(len(every))
    shards = range(max(1, -(-len(every) // rows_per_shard)))
    names = {shard: f"{split}/part-{shard:05d}.parquet" for shard in shards}
    open_ = [shard for shard in shards if not is_marked(_shard_marker(work, names[shard]))]
    advance(sum(min(rows_per_shard, len(every) - shard * rows_per_shard) for shard in shards if shard not in open_))
    if open_:
        scatter = work / f"scatter.{split}"
        tasks = list(_pieces(chosen, places))
        todo = [task for task in tasks if not is_marked(scatter / f"{task.name}.json")]
        cut = partial(
            _scatter, folder=scatter, rows_per_shard=rows_per_shard, paraphrase_share=paraphrase_share, layout=layout
        )
        run_tasks(cut, todo, rows=len(every), workers=workers, advance=lambda task: None)
        gather = partial(
            _gather, folder=scatter, names=[task.name for task in tasks], out=out, work=work, layout=layout
        )
        run_tasks(
            gather,
            [(shard, names[shard]) for shard in open_],
            rows=len(every),
            workers=workers,
            advance=lambda task: advance(min(rows_per_shard, len(every) - task[0] * rows_per_shard)),
        )
        shutil.rmtree(scatter, ignore_errors=True)
    return list(names.values())


@dataclass(frozen=True)
class _Piece:
    """The chosen rows of one piece: their numbers in it, and their places in the split."""

    spec: DatasetSpec
    file: TrainFile
    number: int
    rows: "NDArray[np.int64]"
    places: "NDArray[np.int64]"

    @property
    def name(self) -> str:
        return self.file.names[self.number]


def _pieces(chosen: Sequence[Chosen], places: "NDArray[np.int64]") -> Iterator[_Piece]:
    import numpy as np

    start = 0
    for item in chosen:
        own = places[start : start + len(item.rows)]
        start += len(item.rows)
        bounds = np.cumsum([0, *item.file.sizes])
        cuts = np.searchsorted(item.rows, bounds)
        for number, (first, last) in enumerate(pairwise(cuts)):
            if last > first:
                yield _Piece(item.spec, item.file, number, item.rows[first:last] - bounds[number], own[first:last])


def _scatter(task: _Piece, *, folder: Path, rows_per_shard: int, paraphrase_share: float, layout: str) -> None:
    """Write a piece's chosen rows to the files of their shards."""
    import numpy as np
    import pyarrow as pa

    table = _complete(task.file.texts(task.number).take(pa.array(task.rows)), task.spec, paraphrase_share, layout)
    table = table.append_column(_PLACE, pa.array(task.places))
    shard, files = task.places // rows_per_shard, []
    for number in np.unique(shard):
        files.append(folder / f"{number:05d}" / f"{task.name}.arrow")
        part = table.take(pa.array(np.flatnonzero(shard == number)))
        with (
            atomic_path(files[-1], durable=False) as temporary,
            pa.OSFile(str(temporary), "wb") as sink,
            pa.ipc.new_file(sink, part.schema) as writer,
        ):
            writer.write_table(part)
    mark(folder / f"{task.name}.json", files)


def _gather(task: tuple[int, str], *, folder: Path, names: Sequence[str], out: Path, work: Path, layout: str) -> None:
    """Put a shard's rows in order and write them."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    shard, name = task
    paths = [folder / f"{shard:05d}" / f"{piece}.arrow" for piece in names]
    tables = [read_arrow(path) for path in paths if path.is_file()]
    target = schema(layout)
    table = (
        pa.concat_tables(tables).combine_chunks()
        if tables
        else target.empty_table().append_column(_PLACE, pa.array([], pa.int64()))
    )
    order = pc.sort_indices(table.column(_PLACE))
    table = table.drop_columns([_PLACE])
    with (
        atomic_path(out / name) as temporary,
        pq.ParquetWriter(temporary, target, compression="zstd", use_dictionary=_FEW_VALUES) as writer,
    ):
        for start in range(0, len(order), _ROW_GROUP):
            writer.write_table(table.take(order.slice(start, _ROW_GROUP)), row_group_size=_ROW_GROUP)
    mark(_shard_marker(work, name), [out / name])


def _shard_marker(work: Path, name: str) -> Path:
    return work / "shards" / f"{name}.json"


def _complete(table: "pa.Table", spec: DatasetSpec, paraphrase_share: float, layout: str) -> "pa.Table":
    """Work rows → rows of a mix: the dataset's own columns, the instruction and its words."""
    import numpy as np
    import pyarrow as pa

    number = paraphrase_numbers(table["id"].to_pylist(), paraphrase_share, len(spec.instructions))
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
    """The turns of every row; the prompt is made as `cme.prompt.prompt_text` makes it."""
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
