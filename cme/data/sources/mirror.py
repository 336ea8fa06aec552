"""A folder of Parquet files: ``DIR/<part folder>/<hub split>.parquet``, or the hub's ``<split>-00000-of-N.parquet``."""

import re
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cme.errors import DataError, SourceError
from cme.files import sha256_file
from cme.suite import DatasetSpec, Part

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["MirrorSource"]


class MirrorSource:
    """Rows from a mirror folder.

    Args:
        folder: the mirror's root.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = folder.resolve().name
        self.place = str(folder)
        self._used: dict[str, dict[str, str]] = {}

    def missing(self, spec: DatasetSpec, kind: str) -> dict[str, str]:
        """Parts whose file is not there → the file."""
        return {
            part.name: f"{part.folder}/{part.split(kind)}.parquet"
            for part in spec.parts
            if not self._files(part, part.split(kind))
        }

    def locate(self, spec: DatasetSpec, part: Part, split: str) -> str:
        """Path of the split's file, or of its first shard."""
        files = self._files(part, split)
        return str(files[0]) if files else str(self.folder / part.folder / f"{split}.parquet")

    def table(self, spec: DatasetSpec, part: Part, split: str) -> "pa.Table":
        """Read the split's file or shards.

        Raises:
            SourceError: the file is not there, or shards of it are missing.
            DataError: a file is no Parquet file.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        files = self._files(part, split)
        if not files:
            raise SourceError(
                f"{spec.name}: {part.folder}/{split}.parquet is missing in {self.folder}. "
                f"Put the split there (from {spec.hub_id} on the hub), leave the dataset out, or pass --allow-missing."
            )
        tables = []
        for file in files:
            try:
                tables.append(pq.read_table(file))
            except (pa.ArrowInvalid, OSError) as error:
                raise DataError(
                    f"{spec.name}/{split}: {file} cannot be read as Parquet ({error}). Get the file again."
                ) from error
            self._used.setdefault(spec.name, {})[str(file.relative_to(self.folder))] = self._hash(file)
        return pa.concat_tables(tables)

    def provenance(self, spec: DatasetSpec) -> dict[str, str]:
        """SHA-256 of every file of the dataset read so far."""
        return dict(sorted(self._used.get(spec.name, {}).items()))

    @cached_property
    def _hashes(self) -> dict[Path, str]:
        return {}

    def _hash(self, file: Path) -> str:
        if file not in self._hashes:
            self._hashes[file] = sha256_file(file)
        return self._hashes[file]

    def _files(self, part: Part, split: str) -> list[Path]:
        folder = self.folder / part.folder
        single = folder / f"{split}.parquet"
        if single.is_file():
            return [single]
        shards = sorted(folder.glob(f"{split}-*-of-*.parquet"))
        if shards:
            match = re.fullmatch(rf"{re.escape(split)}-\d+-of-(\d+)\.parquet", shards[0].name)
            expected = int(match[1]) if match else len(shards)
            if len(shards) != expected:
                raise SourceError(
                    f"{folder}: {len(shards)} of {expected} shards of split {split!r} are there. Get the missing ones."
                )
        return shards
