"""Source → work files: every row normalised, cut, hashed and compared with the evaluation rows, once.

Training rows are worked on in pieces of some 20,000, by several processes. A piece leaves two uncompressed Arrow files: the
rows' texts, read again only when the mix is written, and one with a few numbers per row, from which it is decided what
stays. The ``.json`` beside them (`cme.mix.marks`) is written last and says that the piece is complete, so an interrupted
build goes on there.
"""

import gc
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cme.config import from_mapping
from cme.data.example import Example
from cme.data.load import RowStream, load_examples
from cme.data.match import DIGEST_BYTES, canonical_texts, gold_text, texts_digest
from cme.data.pieces import Piece, pieces, rows_of
from cme.data.sources import Source
from cme.errors import CMEError
from cme.files import atomic_path
from cme.mix.gate import EvalTexts, Gate, no_texts, texts_of
from cme.mix.hashes import keys
from cme.mix.marks import is_marked, mark, marked_value
from cme.mix.rows import work_schema
from cme.mix.workers import run_tasks
from cme.prompt import cut_words
from cme.suite import DatasetSpec

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = ["FOUND", "EvalFile", "TrainFile", "collect_eval", "collect_train", "join_gate", "read_arrow"]

_BATCH = 8192
FOUND = {"passage": "passage", "13-gram": "grams", "token-set": "tokens"}
"""Rule of the gate → column of masks in a piece's numbers."""


@dataclass(frozen=True)
class _Note:
    """What became of the rows of a piece, or of a dataset's evaluation rows; fields as in `cme.records.MixDataset`."""

    read: int
    kept: int
    dropped: dict[str, int]
    missing: tuple[str, ...] = ()
    provenance: dict[str, str] | None = None


def _noted(marker: Path) -> _Note:
    return from_mapping(_Note, marked_value(marker), str(marker), error=CMEError)


class EvalFile:
    """What the mix must know of a dataset's evaluation rows.

    Args:
        path: the ``.npz`` of what the gate compares; beside it the digests (``.npy``) and the note (``.json``).
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        note = _noted(path.with_suffix(".json"))
        self.read, self.rows, self.dropped = note.read, note.kept, note.dropped
        self.missing, self.provenance = note.missing, note.provenance or {}

    def digests(self) -> "pa.Array":
        """Digest of every evaluation row's match texts."""
        import numpy as np
        import pyarrow as pa

        data = np.load(self._path.with_suffix(".npy"), allow_pickle=False)
        kind = pa.binary(DIGEST_BYTES)
        return pa.Array.from_buffers(kind, len(data) // DIGEST_BYTES, [None, pa.py_buffer(data.tobytes())])

    def texts(self) -> EvalTexts:
        """What the gate compares."""
        return EvalTexts.load(self._path)


class TrainFile:
    """The normalised training rows of one dataset, in pieces.

    Args:
        folder: folder of the work files.
        names: the pieces' file names without suffix, in row order.
        missing: splits that the source lacks.
        provenance: what pins the rows.
    """

    def __init__(
        self, folder: Path, names: Sequence[str], missing: Sequence[str], provenance: Mapping[str, str]
    ) -> None:
        self._folder, self.names = folder, tuple(names)
        notes = [_noted(folder / f"{name}.json") for name in names]
        self.read = sum(note.read for note in notes)
        self.sizes = [note.kept for note in notes]
        dropped: Counter[str] = Counter()
        for note in notes:
            dropped.update(note.dropped)
        self.dropped = dict(sorted(dropped.items()))
        self.missing, self.provenance = tuple(missing), dict(provenance)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return sum(self.sizes)

    def numbers(self) -> "pa.Table":
        """A few numbers per row: digest, gold, cluster, hash order, what the gate found; see `_numbers_schema`."""
        import pyarrow as pa

        tables = [read_arrow(self._folder / f"{name}.numbers.arrow") for name in self.names]
        return pa.concat_tables(tables) if tables else _numbers_schema().empty_table()

    def texts(self, number: int) -> "pa.Table":
        """The rows' texts, of one piece."""
        return read_arrow(self._folder / f"{self.names[number]}.rows.arrow")


def read_arrow(path: Path) -> "pa.Table":
    """Read a work file.

    Raises:
        CMEError: it was lost or damaged while the build went on.
    """
    import pyarrow as pa

    try:
        with pa.OSFile(str(path)) as file:
            return pa.ipc.open_file(file).read_all()
    except (pa.ArrowException, OSError) as error:
        raise CMEError(f"{path} cannot be read ({error}). Run the command again: it makes the file anew.") from error


def collect_eval(
    specs: Sequence[DatasetSpec],
    source: Source,
    folder: Path,
    *,
    gate: bool,
    workers: int,
    strict: Collection[str],
    advance: Callable[[], None],
) -> dict[str, EvalFile]:
    """Normalise the evaluation rows of all datasets, those that are not in work files yet.

    Args:
        specs: the datasets.
        source: where the rows come from.
        folder: folder of the work files.
        gate: whether more than whole texts will be compared.
        workers: processes.
        strict: datasets of which no part may be missing.
        advance: told of every finished dataset.

    Raises:
        SourceError: the source lacks a split of one of ``strict``.
        DataError: a file does not hold what the dataset promises.
    """
    paths = {spec.name: folder / f"{spec.name}.eval.npz" for spec in specs}
    open_ = [spec for spec in specs if not is_marked(paths[spec.name].with_suffix(".json"))]
    # The longest first, as with training rows.
    open_.sort(key=lambda spec: -spec.rows["eval"] * spec.max_input_words)
    for _ in range(len(specs) - len(open_)):
        advance()
    run_tasks(
        partial(_collect_eval, source=source, paths=paths, gate=gate, strict=frozenset(strict)),
        open_,
        rows=sum(_count(spec, source) for spec in open_),
        workers=workers,
        advance=lambda spec: advance(),
    )
    return {name: EvalFile(path) for name, path in paths.items()}


def _count(spec: DatasetSpec, source: Source) -> int:
    lacking = source.missing(spec, "eval")
    parts = [part for part in spec.parts if part.name not in lacking]
    return sum(piece.rows for part in parts for piece in pieces(source, spec, part, part.eval))


def _collect_eval(
    spec: DatasetSpec, *, source: Source, paths: Mapping[str, Path], gate: bool, strict: frozenset[str]
) -> None:
    import numpy as np

    path = paths[spec.name]
    digests_file = path.with_suffix(".npy")
    outcome = load_examples(spec, "eval", source, allow_missing=spec.name not in strict)
    texts = [canonical_texts(example, spec) for example in outcome.examples]
    found = EvalTexts.of(texts_of(spec, outcome.examples, texts) if gate else no_texts())
    with atomic_path(path, durable=False) as temporary:
        found.save(temporary)
    digests = b"".join(texts_digest(*text) for text in texts)
    with atomic_path(digests_file, durable=False) as temporary, temporary.open("wb") as file:
        np.save(file, np.frombuffer(digests, dtype=np.uint8), allow_pickle=False)
    missing = tuple(source.missing(spec, "eval").values())
    dropped = dict(sorted(outcome.dropped.items()))
    note = _Note(outcome.read, len(outcome.examples), dropped, missing, source.provenance(spec))
    mark(path.with_suffix(".json"), [path, digests_file], asdict(note))


def join_gate(evaluation: Mapping[str, EvalFile], folder: Path) -> Path:
    """Join what the gate compares of all evaluation datasets, unless that was done before.

    Returns:
        The folder for `Gate`.
    """
    place, marker = folder / "gate", folder / "gate.json"
    if not is_marked(marker):
        try:
            Gate.build(place, {name: file.texts() for name, file in evaluation.items()})
        except OSError as error:
            raise CMEError(
                f"cannot write {place}: {error.strerror or error}. Free some room and run the command again."
            ) from error
        mark(marker, sorted(place.iterdir()))
    return place


def collect_train(
    specs: Sequence[DatasetSpec],
    source: Source,
    folder: Path,
    *,
    gate: Path | None,
    seed: int,
    workers: int,
    allow_missing: bool,
    advance: Callable[[int], None],
    expect: Callable[[int], None],
) -> dict[str, TrainFile]:
    """Normalise the training rows of all datasets into work files, those that are not there yet.

    Args:
        specs: the datasets.
        source: where the rows come from; it is sent to the processes.
        folder: folder of the work files.
        gate: what `join_gate` gives; None compares nothing but key texts.
        seed: the mix's seed, of the hash orders.
        workers: processes.
        allow_missing: leave out parts that the source lacks.
        advance: told the rows of every finished piece.
        expect: told how many rows there are to work on.

    Raises:
        SourceError: the source lacks a split.
        DataError: a file does not hold what the dataset promises.
    """
    plans = {spec.name: _plan(spec, source, folder, allow_missing=allow_missing) for spec in specs}
    tasks = [
        _Task(spec, _piece(values), f"{spec.name}.train.{number:04d}")
        for spec in specs
        for number, values in enumerate(plans[spec.name].pieces)
    ]
    open_ = [task for task in tasks if not is_marked(folder / f"{task.name}.json")]
    rows = sum(task.piece.rows for task in open_)
    expect(rows)
    # The largest first: the last ones to run are then small, and no process waits long for another.
    open_.sort(key=lambda task: -task.piece.rows * task.spec.max_input_words)
    work = partial(_collect_piece, source=source, folder=folder, gate=gate, seed=seed)
    try:
        run_tasks(work, open_, rows=rows, workers=workers, advance=lambda task: advance(task.piece.rows))
    finally:
        _GATES.clear()  # the next build in this process may have other evaluation rows in a folder of the same name
    return {
        spec.name: TrainFile(
            folder,
            [task.name for task in tasks if task.spec.name == spec.name],
            plans[spec.name].missing,
            plans[spec.name].provenance,
        )
        for spec in specs
    }


@dataclass(frozen=True)
class _Plan:
    """How a dataset is cut into pieces; written down, so that a continued build cuts it alike and asks no source again."""

    pieces: tuple[dict[str, Any], ...]
    missing: tuple[str, ...]
    provenance: dict[str, str]


def _plan(spec: DatasetSpec, source: Source, folder: Path, *, allow_missing: bool) -> _Plan:
    file = folder / f"{spec.name}.train.plan.json"
    if not is_marked(file):
        missing = source.missing(spec, "train")
        lacking = missing if allow_missing else {}
        parts = [part for part in spec.parts if part.name not in lacking]
        found = [piece for part in parts for piece in pieces(source, spec, part, part.train)]
        written = [asdict(piece) | {"file": piece.file and str(piece.file)} for piece in found]
        mark(file, [], asdict(_Plan(tuple(written), tuple(missing.values()), source.provenance(spec))))
    return from_mapping(_Plan, marked_value(file), str(file), error=CMEError)


def _piece(values: Mapping[str, Any]) -> Piece:
    file = values["file"]
    return Piece(**{**values, "file": file and Path(file), "groups": tuple(values["groups"])})


@dataclass(frozen=True)
class _Task:
    spec: DatasetSpec
    piece: Piece
    name: str


_GATES: dict[Path, Gate] = {}


def _collect_piece(task: _Task, *, source: Source, folder: Path, gate: Path | None, seed: int) -> None:
    import pyarrow as pa

    spec, piece = task.spec, task.piece
    if gate is not None and gate not in _GATES:
        _GATES[gate] = Gate(gate)
    part = next(part for part in spec.parts if part.name == piece.part)
    where = str(piece.file) if piece.file else source.locate(spec, part, piece.split)
    stream = RowStream(spec, part, f"{spec.name}/{piece.split}", where, start=piece.start)
    kept = 0
    files = [folder / f"{task.name}.{kind}.arrow" for kind in ("rows", "numbers")]
    with (
        _garbage_left(),
        atomic_path(files[0], durable=False) as texts,
        atomic_path(files[1], durable=False) as numbers,
        pa.OSFile(str(texts), "wb") as text_sink,
        pa.OSFile(str(numbers), "wb") as number_sink,
        pa.ipc.new_file(text_sink, work_schema()) as text_writer,
        pa.ipc.new_file(number_sink, _numbers_schema()) as number_writer,
    ):
        for batch in _batches(stream.examples(rows_of(source, spec, piece))):
            keyed = [canonical_texts(example, spec) for example in batch]
            found = _GATES[gate].find(texts_of(spec, batch, keyed)) if gate is not None else {}
            number_writer.write_batch(_numbers(spec, batch, keyed, found, seed))
            text_writer.write_batch(_texts(spec, batch))
            kept += len(batch)
    mark(folder / f"{task.name}.json", files, asdict(_Note(stream.read, kept, dict(stream.dropped))))


@contextmanager
def _garbage_left() -> Iterator[None]:
    """Without the search for cycles, of which rows have none: it would look at every example again and again."""
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


def _numbers_schema() -> "pa.Schema":
    """Numbers of a row.

    match: digest of the match texts. gold, cluster: hashes of the answer's text and of the cluster. take, order: hash
    orders of this seed. passage, grams, tokens: evaluation datasets in which the gate found the row, a bit each.
    """
    import pyarrow as pa

    number, mask = pa.uint64(), pa.uint32()
    fields = {"match": pa.binary(DIGEST_BYTES), "gold": number, "cluster": number, "take": number, "order": number}
    return pa.schema(list((fields | dict.fromkeys(FOUND.values(), mask)).items()))


def _numbers(
    spec: DatasetSpec,
    batch: Sequence[Example],
    keyed: Sequence[tuple[list[str], list[str]]],
    found: "Mapping[str, NDArray[np.uint32]]",
    seed: int,
) -> "pa.RecordBatch":
    import numpy as np
    import pyarrow as pa

    ids = [example.id for example in batch]
    none = np.zeros(len(batch), dtype=np.uint32)
    columns: dict[str, Any] = {
        "match": [texts_digest(*texts) for texts in keyed],
        "gold": keys([gold_text(example, spec) for example in batch], "gold"),
        "cluster": keys([example.cluster for example in batch], "validation"),
        "take": keys(ids, "take", seed),
        "order": keys(ids, "order", seed),
    }
    columns |= {column: found.get(rule, none) for rule, column in FOUND.items()}
    schema = _numbers_schema()
    return pa.RecordBatch.from_arrays([pa.array(columns[f.name], f.type) for f in schema], schema=schema)


def _texts(spec: DatasetSpec, batch: Sequence[Example]) -> "pa.RecordBatch":
    import pyarrow as pa

    cut = [cut_words(example, spec.max_input_words) for example in batch]
    columns: dict[str, list[Any]] = {
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
    }
    return pa.RecordBatch.from_pydict(columns, schema=work_schema())
