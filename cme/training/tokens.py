"""Token ids of a split. They are encoded once per run folder, and all processes memory-map the files."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING

from cme.errors import CMEError
from cme.machine import usable_processors
from cme.mix import mix_files
from cme.progress import bar
from cme.training.encode import Encoder
from cme.training.shard import COUNTS, encode_shard
from cme.training.unchanged import check_unchanged

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Tokens", "check_waiting", "encode_split", "token_files"]

_FEW = 20_000
"""Up to this number of rows, one process (2,500 rows per second) is faster than starting several."""


class Tokens:
    """Encoded examples in memory-mapped Arrow files.

    Attributes:
        lengths: Number of tokens of each example.
        contexts: Number of tokens of each example's context.
        dropped: Number of dropped rows, by reason.
        cut: Number of rows whose long text was cut below its dataset's word limit.
    """

    lengths: "NDArray[np.int32]"
    contexts: "NDArray[np.int32]"

    def __init__(self, files: Sequence[Path]) -> None:
        import numpy as np
        import pyarrow as pa

        self._values: list[NDArray[np.int32]] = []
        self._offsets: list[NDArray[np.int32]] = []
        lengths, contexts = [np.zeros(0, np.int32)], [np.zeros(0, np.int32)]
        dropped: Counter[str] = Counter()
        self.cut = 0
        for path in files:
            table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
            counts = json.loads(table.schema.metadata[COUNTS])
            dropped.update(counts["dropped"])
            self.cut += counts["cut"]
            for batch in table.to_batches():
                column = batch.column("ids")
                self._offsets.append(column.offsets.to_numpy())
                self._values.append(column.values.to_numpy())
                lengths.append(np.diff(self._offsets[-1]))
                contexts.append(batch.column("context").to_numpy())
        self._starts = np.cumsum([0] + [len(offsets) - 1 for offsets in self._offsets])
        self.lengths, self.contexts = np.concatenate(lengths), np.concatenate(contexts)
        self.dropped = dict(sorted(dropped.items()))

    def __len__(self) -> int:
        return len(self.lengths)

    def ids(self, index: int) -> "NDArray[np.int32]":
        """Return the token ids of one example."""
        import numpy as np

        part = int(np.searchsorted(self._starts, index, side="right")) - 1
        first, last = self._offsets[part][index - self._starts[part] :][:2]
        return self._values[part][first:last]


def token_files(mix: Path, split: str, work: Path) -> list[Path]:
    """Return the paths of a split's token files, in row order."""
    return [work / split / f"{file.stem}.arrow" for file in mix_files(mix, split)]


def check_waiting(mix: Path, splits: Sequence[str], work: Path) -> None:
    """Check that the files of a mix that `encode_split` would encode are those of its manifest.

    Files that are encoded already are not read again, so a run that is resumed costs nothing.

    Args:
        mix: The folder of the mix.
        splits: The splits that will be encoded.
        work: The folder for the token ids.

    Raises:
        CMEError: A file has changed.
    """
    check_unchanged(mix, [source for split in splits for source, _ in _waiting(mix, split, work)])


def encode_split(mix: Path, split: str, work: Path, base: Path, encoder: Encoder) -> None:
    """Encode the files of a split that are not encoded yet. Large splits are encoded in parallel.

    Call `check_waiting` before, so that the rows are those of the mix's fingerprint.

    Args:
        mix: The folder of the mix.
        split: ``train`` or ``validation``.
        work: The folder for the token ids.
        base: The base model's folder, with its tokenizer.
        encoder: The encoder for this tokenizer.

    Raises:
        CMEError: A file cannot be read or written.
    """
    waiting = _waiting(mix, split, work)
    with bar(f"Encoding {split}", total=len(waiting)) as shown:
        if len(waiting) < 2 or sum(_rows(source) for source, _ in waiting) <= _FEW:
            for source, target in waiting:
                encode_shard(source, target, encoder)
                shown.advance()
            return
        # New programs are started instead of forks, because this process may already have threads and use a GPU.
        with ThreadPoolExecutor(min(len(waiting), usable_processors())) as pool:
            jobs = [pool.submit(_encode_elsewhere, source, target, base, encoder) for source, target in waiting]
            try:
                for job in as_completed(jobs):
                    job.result()
                    shown.advance()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise


def _waiting(mix: Path, split: str, work: Path) -> list[tuple[Path, Path]]:
    """Return the files of a split that are not encoded yet, with the paths of their token files."""
    pairs = zip(mix_files(mix, split), token_files(mix, split, work), strict=True)
    return [(source, target) for source, target in pairs if not target.is_file()]


def _rows(file: Path) -> int:
    import pyarrow.parquet as pq

    return int(pq.read_metadata(file).num_rows)


def _encode_elsewhere(source: Path, target: Path, base: Path, encoder: Encoder) -> None:
    job = {
        "source": str(source),
        "target": str(target),
        "base": str(base),
        "prompt_format": encoder.prompt_format,
        "max_length": encoder.max_length,
    }
    command = [sys.executable, "-m", "cme.training.shard", json.dumps(job)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise CMEError(f"{source} could not be encoded: {last}. Check the file, or build the mix again.")
