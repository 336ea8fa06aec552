"""Work files of the training rows. Every row is normalised, cut, hashed and compared with the evaluation rows once.

Several processes work on pieces of the splits. A continued build does not repeat complete pieces.
"""

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cme.config import Items, build, validated
from cme.data.chunks import Piece, pieces, rows_of
from cme.data.example import Example
from cme.data.load import RowStream
from cme.data.match import canonical_texts, gold_text, texts_digest
from cme.data.sources import Source
from cme.data.sources.mirror import MirrorSource
from cme.data.sources.pins import Pin, check_pin, pin_of
from cme.errors import CMEError
from cme.files import atomic_path
from cme.mix.decontamination import LeakDetector, texts_of
from cme.mix.hashes import keys
from cme.mix.rows import work_schema
from cme.mix.same_source import check_plan, check_same
from cme.mix.step_markers import is_marked, mark, marked_value
from cme.mix.work_files import MASK_COLUMNS, Note, TrainFile, numbers_schema
from cme.mix.workers import Workers
from cme.prompt import count_words, cut_words
from cme.suite import DatasetSpec

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = ["collect_train"]

_BATCH = 1024
"""Number of rows that are Python objects at the same time. They are few, so that their memory stays in the processor's cache."""

_STORED_BATCHES = 8
"""Number of batches that are stored as one, because every shard reads from every stored batch."""


def collect_train(
    specs: Sequence[DatasetSpec],
    source: Source,
    folder: Path,
    *,
    detector: Path | None,
    seed: int,
    workers: Workers,
    allow_missing: bool,
    advance: Callable[[int], None],
    expect: Callable[[int], None],
) -> dict[str, TrainFile]:
    """Normalise the training rows of all datasets that have no work files yet.

    Args:
        specs: the datasets.
        source: where the rows come from. It is sent to the worker processes.
        folder: folder of the work files.
        detector: the folder that `join_leak_detector` returned. With None, only key texts are compared.
        seed: seed of the mix, which determines the hash orders.
        workers: worker processes.
        allow_missing: leave out subsets that the source lacks.
        advance: called with the number of rows of every finished piece.
        expect: called with the total number of rows to process.

    Returns:
        The work files, by dataset.

    Raises:
        SourceError: the source lacks a split.
        DataError: a file does not match the definition of its dataset.
    """
    plans = {spec.name: _plan(spec, source, folder, allow_missing=allow_missing) for spec in specs}
    tasks = []
    for spec in specs:
        planned = [_piece(values, plans[spec.name].root, source) for values in plans[spec.name].pieces]
        check_plan(spec, "train", source, planned)
        tasks += [
            _Task(spec, piece, f"{spec.name}.train.{number:04d}", pin_of(piece.file) if piece.file else None)
            for number, piece in enumerate(planned)
        ]
        # This check follows the pins, so that the rows read later under a pin are those of the plan.
        check_same(spec, source, plans[spec.name].provenance)
    open_ = [task for task in tasks if not is_marked(folder / f"{task.name}.json")]
    rows = sum(task.piece.rows for task in open_)
    expect(rows)
    # The largest pieces come first. The last ones are then small, and no process waits long for another.
    open_.sort(key=lambda task: -task.piece.rows * task.spec.max_input_words)
    work = partial(_collect_piece, source=source, folder=folder, detector=detector, seed=seed)
    try:
        workers.run(work, open_, rows=rows, advance=lambda task: advance(task.piece.rows))
    finally:
        _DETECTORS.clear()  # the next build in this process can have other evaluation rows in the same folder
    return {
        spec.name: TrainFile(
            folder,
            [task.name for task in tasks if task.spec.name == spec.name],
            plans[spec.name].missing,
            plans[spec.name].provenance,
        )
        for spec in specs
    }


@validated("plan of a dataset's pieces")
class _Plan:
    """How a dataset is split into pieces. It is stored, so that a continued build uses the same pieces.

    ``root`` is the folder of a named source, which may lie elsewhere when the build continues.
    """

    pieces: Items[dict[str, Any]]
    missing: Items[str]
    provenance: dict[str, str]
    root: str | None = None


def _plan(spec: DatasetSpec, source: Source, folder: Path, *, allow_missing: bool) -> _Plan:
    file = folder / f"{spec.name}.train.plan.json"
    if not is_marked(file):
        missing = source.missing(spec, "train")
        lacking = missing if allow_missing else {}
        subsets = [subset for subset in spec.subsets if subset.name not in lacking]
        stored = [_stored(piece) for subset in subsets for piece in pieces(source, spec, subset, subset.train)]
        plan = asdict(_Plan(tuple(stored), tuple(missing.values()), source.provenance(spec), _root(source)))
        mark(file, [], {key: value for key, value in plan.items() if key != "root" or value is not None})
    return build(_Plan, marked_value(file), str(file), error=CMEError)


def _stored(piece: Piece) -> dict[str, Any]:
    """Return a piece as JSON values. The stored key of its subset is ``part``."""
    values = asdict(piece)
    return {"part": values.pop("subset")} | values | {"file": piece.file and str(piece.file)}


def _root(source: Source) -> str | None:
    return str(source.folder) if isinstance(source, MirrorSource) and source.named else None


def _piece(values: Mapping[str, Any], root: str | None, source: Source) -> Piece:
    """Return the piece that `_stored` gave as JSON values. A file below ``root`` is that of the source's present folder."""
    others = {key: value for key, value in values.items() if key not in ("part", "file", "groups")}
    file = values["file"] and Path(values["file"])
    if file and root is not None and isinstance(source, MirrorSource) and file.is_relative_to(root):
        file = source.folder / file.relative_to(root)
    return Piece(subset=values["part"], file=file, groups=tuple(values["groups"]), **others)


@dataclass(frozen=True)
class _Task:
    spec: DatasetSpec
    piece: Piece
    name: str
    pin: Pin | None


_DETECTORS: dict[Path, LeakDetector] = {}


def _collect_piece(task: _Task, *, source: Source, folder: Path, detector: Path | None, seed: int) -> None:
    import pyarrow as pa

    spec, piece = task.spec, task.piece
    if detector is not None and detector not in _DETECTORS:
        _DETECTORS[detector] = LeakDetector(detector)
    subset = next(subset for subset in spec.subsets if subset.name == piece.subset)
    where = str(piece.file) if piece.file else source.locate(spec, subset, piece.split)
    stream = RowStream(spec, subset, f"{spec.name}/{piece.split}", where, start=piece.start)
    if piece.file is not None and task.pin is not None:
        check_pin(piece.file, task.pin)
    kept = 0
    waiting: list[pa.RecordBatch] = []
    files = [folder / f"{task.name}.{kind}.arrow" for kind in ("rows", "numbers")]
    with (
        _garbage_left(),
        atomic_path(files[0], durable=False) as texts,
        atomic_path(files[1], durable=False) as numbers,
        pa.OSFile(str(texts), "wb") as text_sink,
        pa.OSFile(str(numbers), "wb") as number_sink,
        pa.ipc.new_file(text_sink, work_schema()) as text_writer,
        pa.ipc.new_file(number_sink, numbers_schema()) as number_writer,
    ):
        for batch in _batches(stream.examples(rows_of(source, spec, piece))):
            keyed = [canonical_texts(example, spec) for example in batch]
            masks = _DETECTORS[detector].find(texts_of(spec, batch, keyed)) if detector is not None else {}
            number_writer.write_batch(_numbers(spec, batch, keyed, masks, seed))
            waiting.append(_texts(spec, batch))
            kept += len(batch)
            if len(waiting) == _STORED_BATCHES:
                text_writer.write_batch(pa.concat_batches(waiting))
                waiting.clear()
        if waiting:
            text_writer.write_batch(pa.concat_batches(waiting))
    if piece.file is not None and task.pin is not None:
        check_pin(piece.file, task.pin)
    mark(folder / f"{task.name}.json", files, asdict(Note(stream.read, kept, dict(stream.dropped))))


@contextmanager
def _garbage_left() -> Iterator[None]:
    """Turn off the search for reference cycles, which would visit every example repeatedly. Rows have no cycles."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def _batches(examples: Iterator[Example]) -> Iterator[list[Example]]:
    while batch := list(islice(examples, _BATCH)):
        yield batch


def _numbers(
    spec: DatasetSpec,
    batch: Sequence[Example],
    keyed: Sequence[tuple[list[str], list[str]]],
    masks: "Mapping[str, NDArray[np.uint32]]",
    seed: int,
) -> "pa.RecordBatch":
    import numpy as np
    import pyarrow as pa

    ids = [example.id for example in batch]
    none = np.zeros(len(batch), dtype=np.uint32)
    # There are few distinct answers: label words, letters, or "" for free text.
    golds = pa.array([gold_text(example, spec) for example in batch], pa.string()).dictionary_encode()
    columns: dict[str, Any] = {
        "match": [texts_digest(*texts) for texts in keyed],
        "gold": keys(golds.dictionary.to_pylist(), "gold")[golds.indices.to_numpy()],
        "cluster": keys([example.cluster for example in batch], "validation"),
        "take": keys(ids, "take", seed),
        "order": keys(ids, "order", seed),
    }
    columns |= {column: masks.get(rule, none) for rule, column in MASK_COLUMNS.items()}
    schema = numbers_schema()
    return pa.RecordBatch.from_arrays([pa.array(columns[f.name], f.type) for f in schema], schema=schema)


def _texts(spec: DatasetSpec, batch: Sequence[Example]) -> "pa.RecordBatch":
    import pyarrow as pa

    cut, words = zip(*(_cut(example, spec.max_input_words) for example in batch), strict=True)
    columns: dict[str, Sequence[Any]] = {
        "input": [example.input for example in cut],
        "output": [example.output for example in cut],
        "id": [example.id for example in cut],
        "part": [example.subset for example in cut],
        "cluster": [example.cluster for example in cut],
        "choices": [example.choices for example in cut],
        "gold": [example.gold for example in cut],
        "answers": [example.answers for example in cut],
        "long_start": [example.long and example.long[0] for example in cut],
        "long_end": [example.long and example.long[1] for example in cut],
        "words": words,
    }
    return pa.RecordBatch.from_pydict(columns, schema=work_schema())


def _cut(example: Example, most: int) -> tuple[Example, int]:
    """Return the example with at most ``most`` words of its long text, and its number of words in input and output."""
    words = count_words(example.input)
    if words > most:  # otherwise the long text is short enough
        example = cut_words(example, most)
        words = count_words(example.input)
    return example, words + count_words(example.output)
