"""Source → work files: every row normalised, cut and digested, once; an interrupted build finds them again.

A work file is an uncompressed Arrow file, so that later steps map it into memory and pick rows in any order. The
``.json`` beside it is written afterwards and says that it is complete.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cme.config import from_mapping
from cme.data.example import Example
from cme.data.load import load_examples
from cme.data.match import DIGEST_BYTES, gold_text, match_digest
from cme.data.sources import Source
from cme.errors import CMEError
from cme.files import atomic_path, read_json, write_json
from cme.prompt import cut_words
from cme.suite import DatasetSpec

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = ["WorkFile", "collect"]

_BATCH = 8192


@dataclass(frozen=True)
class _Note:
    """What became of the rows of one kind (train or eval) of a dataset; fields as in `cme.records.MixDataset`."""

    read: int
    dropped: dict[str, int]
    missing: tuple[str, ...]
    provenance: dict[str, str]


class WorkFile:
    """The normalised rows of one dataset, mapped into memory.

    Args:
        path: the Arrow file. Training rows have the columns of a mix but instruction, dataset and family; ``words``
            counts input and output alone; ``match`` is the digest of the match texts, ``gold_text`` what the answer
            says. Evaluation rows have ``match`` alone.
        note: counts and provenance.
    """

    def __init__(self, path: Path, note: _Note) -> None:
        self.path = path
        self.read, self.dropped = note.read, note.dropped
        self.missing, self.provenance = note.missing, note.provenance

    @cached_property
    def _batches(self) -> "list[pa.RecordBatch]":
        import pyarrow as pa

        reader = pa.ipc.open_file(pa.memory_map(str(self.path)))
        return [reader.get_batch(number) for number in range(reader.num_record_batches)]

    @property
    def rows(self) -> int:
        """Number of rows."""
        return sum(batch.num_rows for batch in self._batches)

    def column(self, name: str) -> "pa.ChunkedArray":
        """One column of all rows."""
        import pyarrow as pa

        return pa.chunked_array([batch.column(name) for batch in self._batches], type=self._schema.field(name).type)

    def take(self, rows: "NDArray[np.int64]") -> "pa.Table":
        """Pick rows by number.

        Args:
            rows: row numbers in ascending order.
        """
        import numpy as np
        import pyarrow as pa

        # Batch by batch: taking from a table of many batches would first copy the whole table into one.
        ends = np.cumsum([batch.num_rows for batch in self._batches])
        bounds = np.searchsorted(rows, np.concatenate(([0], ends)))
        picked = [
            batch.take(pa.array(rows[start:stop] - (end - batch.num_rows)))
            for batch, end, start, stop in zip(self._batches, ends, bounds[:-1], bounds[1:], strict=True)
            if stop > start
        ]
        return pa.Table.from_batches(picked, schema=self._schema)

    @cached_property
    def _schema(self) -> "pa.Schema":
        import pyarrow as pa

        return pa.ipc.open_file(pa.memory_map(str(self.path))).schema


def collect(spec: DatasetSpec, kind: str, source: Source, folder: Path, *, allow_missing: bool) -> WorkFile:
    """Normalise a dataset's rows of one kind into a work file; if that was done before, open it.

    Args:
        spec: the dataset.
        kind: ``"train"`` or ``"eval"``.
        source: where the rows come from.
        folder: folder of the work files.
        allow_missing: leave out parts that the source lacks.

    Raises:
        SourceError: the source lacks a split.
        DataError: a file does not hold what the dataset promises.
    """
    path = folder / f"{spec.name}.{kind}.arrow"
    marker = path.with_suffix(".json")
    if marker.is_file() and path.is_file():
        return WorkFile(path, from_mapping(_Note, read_json(marker), str(marker), error=CMEError))
    outcome = load_examples(spec, kind, source, allow_missing=allow_missing)
    _write(path, outcome.examples, spec, _train_columns if kind == "train" else _match_column)
    note = _Note(
        read=outcome.read,
        dropped=dict(sorted(outcome.dropped.items())),
        missing=tuple(source.missing(spec, kind).values()),
        provenance=source.provenance(spec),
    )
    write_json(marker, asdict(note))
    return WorkFile(path, note)


_Columns = Callable[[Sequence[Example], DatasetSpec], dict[str, list[Any]]]


def _write(path: Path, examples: Sequence[Example], spec: DatasetSpec, columns: _Columns) -> None:
    import pyarrow as pa

    types = _types()
    schema = pa.schema([(name, types[name]) for name in columns([], spec)])
    with (
        atomic_path(path) as temporary,
        pa.OSFile(str(temporary), "wb") as sink,
        pa.ipc.new_file(sink, schema) as writer,
    ):
        for start in range(0, len(examples), _BATCH):
            writer.write_batch(
                pa.RecordBatch.from_pydict(columns(examples[start : start + _BATCH], spec), schema=schema)
            )


def _types() -> "dict[str, pa.DataType]":
    import pyarrow as pa

    from cme.mix.rows import schema

    return {field.name: field.type for field in schema()} | {"match": pa.binary(DIGEST_BYTES), "gold_text": pa.string()}


def _train_columns(examples: Sequence[Example], spec: DatasetSpec) -> dict[str, list[Any]]:
    cut = [cut_words(example, spec.max_input_words) for example in examples]
    return {
        "input": [example.input for example in cut],
        "output": [example.output for example in cut],
        "id": [example.id for example in cut],
        "part": [example.part for example in cut],
        "cluster": [example.cluster for example in cut],
        "choices": [example.choices for example in cut],
        "gold": [example.gold for example in cut],
        "answers": [example.answers for example in cut],
        "long_start": [example.long and example.long[0] for example in cut],
        "long_end": [example.long and example.long[1] for example in cut],
        "words": [len(example.input.split()) + len(example.output.split()) for example in cut],
        "gold_text": [gold_text(example, spec) for example in examples],
        **_match_column(examples, spec),
    }


def _match_column(examples: Sequence[Example], spec: DatasetSpec) -> dict[str, list[Any]]:
    return {"match": [match_digest(example, spec) for example in examples]}
