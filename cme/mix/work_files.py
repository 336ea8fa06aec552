"""Work files: the normalised rows of a build.

A piece of about 20,000 training rows has two uncompressed Arrow files. One has the texts of the rows and is mapped into memory
when the mix is written. The other has a few numbers per row, which decide whether the row remains. The evaluation rows of a
dataset have two NumPy files: the texts that decontamination compares, and the digests of all texts. A marker (``.json``, see
`cme.mix.step_markers`) shows that they are complete.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from cme.config import Items, build, validated
from cme.data.match import DIGEST_BYTES
from cme.errors import CMEError
from cme.mix.decontamination import EvalTexts
from cme.mix.rows import work_schema
from cme.mix.step_markers import marked_value

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = ["MASK_COLUMNS", "EvalFile", "Note", "TrainFile", "numbers_schema"]

MASK_COLUMNS = {"passage": "passage", "13-gram": "grams", "token-set": "tokens"}
"""Maps each rule of decontamination to its column of masks in the numbers of a piece."""


@validated("note of a piece")
class Note:
    """Counts of the rows of a piece or of evaluation rows. The fields are those of `cme.records.MixDataset`."""

    read: int
    kept: int
    dropped: dict[str, int]
    missing: Items[str] = ()
    provenance: dict[str, str] | None = None


def _noted(marker: Path) -> Note:
    return build(Note, marked_value(marker), str(marker), error=CMEError)


class EvalFile:
    """The evaluation rows of one dataset.

    Args:
        path: the ``.npz`` file for decontamination. The digests (``.npy``) and the marker (``.json``) are in the same folder.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        note = _noted(path.with_suffix(".json"))
        self.read, self.rows, self.dropped = note.read, note.kept, note.dropped
        self.missing, self.provenance = note.missing, note.provenance or {}

    def digests(self) -> "pa.Array":
        """Return the digest of the match texts of every evaluation row."""
        import numpy as np
        import pyarrow as pa

        data = np.load(self._path.with_suffix(".npy"), allow_pickle=False)
        kind = pa.binary(DIGEST_BYTES)
        return pa.Array.from_buffers(kind, len(data) // DIGEST_BYTES, [None, pa.py_buffer(data.tobytes())])

    def texts(self) -> EvalTexts:
        """Return the texts that decontamination compares."""
        return EvalTexts.load(self._path)


class TrainFile:
    """The normalised training rows of one dataset, in pieces.

    Args:
        folder: folder of the work files.
        names: file names of the pieces without suffix, in the order of their rows.
        missing: splits that the source lacks.
        provenance: what identifies the rows, such as a revision.
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
        """Return a few numbers per row, see `numbers_schema`."""
        import pyarrow as pa

        tables = [_read(self._folder / f"{name}.numbers.arrow") for name in self.names]
        return pa.concat_tables(tables) if tables else numbers_schema().empty_table()

    def ids(self) -> "pa.ChunkedArray":
        """Return the id of every row. Only the pages of the files with ids are read."""
        import pyarrow as pa

        chunks: list[pa.Array] = []
        for name in self.names:
            path = self._folder / f"{name}.rows.arrow"
            with _named(path):
                chunks += pa.ipc.open_file(pa.memory_map(str(path))).read_all()["id"].chunks
        return pa.chunked_array(chunks, type=pa.string())

    def texts(self, rows: "NDArray[np.int64]") -> "pa.Table":
        """Return the texts of some rows. Only the pages of the files with these rows are read.

        Args:
            rows: row numbers, ascending.

        Raises:
            CMEError: a work file was lost or damaged during the build.
        """
        import numpy as np
        import pyarrow as pa

        bounds = np.cumsum([0, *self.sizes])
        batches: list[pa.RecordBatch] = []
        for name, start, (first, last) in zip(
            self.names, bounds, pairwise(np.searchsorted(rows, bounds)), strict=False
        ):
            if last > first:
                batches += _take(self._folder / f"{name}.rows.arrow", rows[first:last] - start)
        return pa.Table.from_batches(batches, schema=work_schema())


def _read(path: Path) -> "pa.Table":
    import pyarrow as pa

    with _named(path), pa.OSFile(str(path)) as file:
        return pa.ipc.open_file(file).read_all()


def _take(path: Path, rows: "NDArray[np.int64]") -> "list[pa.RecordBatch]":
    import numpy as np
    import pyarrow as pa

    taken, start = [], 0
    with _named(path), pa.memory_map(str(path)) as file:
        reader = pa.ipc.open_file(file)
        for number in range(reader.num_record_batches):
            batch = reader.get_batch(number)
            first, last = np.searchsorted(rows, (start, start + len(batch)))
            if last > first:
                taken.append(batch.take(pa.array(rows[first:last] - start)))
            start += len(batch)
    return taken


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Raise an error that names the work file if it was lost or damaged during the build."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise CMEError(f"{path} cannot be read ({error}). Run the command again to rebuild the file.") from error


def numbers_schema() -> "pa.Schema":
    """Return the Arrow schema of the numbers of rows.

    ``match`` is the digest of the match texts. ``gold`` and ``cluster`` are hashes of the answer and of the cluster. ``take`` and
    ``order`` are the sort keys of this seed. ``passage``, ``grams`` and ``tokens`` are masks with one bit per evaluation dataset
    that the row leaks by this rule.
    """
    import pyarrow as pa

    number, mask = pa.uint64(), pa.uint32()
    fields = {"match": pa.binary(DIGEST_BYTES), "gold": number, "cluster": number, "take": number, "order": number}
    return pa.schema(list((fields | dict.fromkeys(MASK_COLUMNS.values(), mask)).items()))
