"""A mirror folder as a source: ``DIR/<folder>/<split>.parquet``, or shards with the hub names ``<split>-00000-of-N.parquet``."""

import re
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cme.data.sources.lock import LOCK, Lock, LockedFile, split_key
from cme.data.sources.parquet import Footer, read_footer, read_parquet
from cme.data.sources.pins import Pin, check_pin, pin_of, pinned_sha256
from cme.errors import DataError, SourceError
from cme.suite import DatasetSpec, Subset

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["MirrorSource", "is_file_of"]


class MirrorSource:
    """Rows from a mirror folder.

    Args:
        folder: root of the mirror.
        name: name in records and tables; None for the name of the folder.
    """

    def __init__(self, folder: Path, name: str | None = None) -> None:
        self.folder = folder
        self.named = name is not None
        self.name = folder.resolve().name if name is None else name
        self.place = str(folder) if name is None else f"{name} ({folder})"
        self._used: dict[str, dict[Path, Pin]] = {}

    def missing(self, spec: DatasetSpec, kind: str) -> dict[str, str]:
        """Return the missing files, by subset whose file or shards are not complete."""
        lacking = {subset.name: self._lacking(subset, subset.split(kind)) for subset in spec.subsets_of(kind)}
        return {name: text for name, text in lacking.items() if text}

    def locate(self, spec: DatasetSpec, subset: Subset, split: str) -> str:
        """Return the path of the file of a split, or a pattern for its shards."""
        files = self._files(subset, split)
        name = f"{split}.parquet" if not files or files[0].stem == split else f"{split}-*.parquet"
        return str(self.folder / subset.folder / name)

    def files(self, spec: DatasetSpec, subset: Subset, split: str) -> list[Path]:
        """Return the file of a split, or its shards in order.

        Raises:
            SourceError: the file or shards of it are missing.
        """
        if lacking := self._lacking(subset, split):
            raise SourceError(
                f"{spec.name}: {lacking} is missing in {self.folder}. "
                f"Add it from {spec.hub_id} on the hub, leave the dataset out, or pass --allow-missing."
            )
        files = self._files(subset, split)
        used = self._used.setdefault(spec.name, {})
        for file in files:
            if file not in used:
                used[file] = pin_of(file)
        return files

    def table(self, spec: DatasetSpec, subset: Subset, split: str) -> "pa.Table":
        """Read the file or shards of a split.

        Raises:
            SourceError: the file or shards of it are missing.
            DataError: a file is not a Parquet file.
        """
        return read_parquet(self.files(spec, subset, split), f"{spec.name}/{split}")

    def provenance(self, spec: DatasetSpec) -> dict[str, str]:
        """Return the SHA-256 of every file of the dataset that was requested so far, and the commit if the lock has it.

        Raises:
            DataError: a file was changed since it was requested.
        """
        pins = self._used.get(spec.name, {})
        used = {str(file.relative_to(self.folder)): self._hash(file, pin) for file, pin in pins.items()}
        revision, _ = self.pinning(spec)
        return dict(sorted(used.items())) | ({"revision": revision} if used and revision else {})

    def pinning(self, spec: DatasetSpec) -> tuple[str, str]:
        """Return the commit in the lock of ``cme download`` and ``locked``, or two empty texts."""
        revision = self.lock.revision(spec.hub_id)
        return (revision, "locked") if revision else ("", "")

    def footer(self, spec: DatasetSpec, subset: Subset, split: str) -> Footer:
        """Return the columns and the number of rows of a split.

        Raises:
            SourceError: the file or shards of it are missing.
            DataError: a file is not a Parquet file, or differs from the lock of ``cme download``.
        """
        files = self.files(spec, subset, split)
        noted = self.lock.files(spec.hub_id, self.pinning(spec)[0], split_key(subset.config, split)) or ()
        if noted and (len(noted) != len(files) or not all(map(LockedFile.matches, noted, files))):
            raise DataError(
                f"{self.locate(spec, subset, split)} differs from {self.folder / LOCK}. Download it again with 'cme download'."
            )
        return Footer.of_all([read_footer(file, str(file)) for file in files])

    @cached_property
    def lock(self) -> Lock:
        """The lock of ``cme download``, which is empty if another program made the folder.

        Raises:
            CMEError: the lock is damaged.
        """
        return Lock.read(self.folder / LOCK)

    @cached_property
    def _hashes(self) -> dict[tuple[Path, Pin], str]:
        return {}

    def _hash(self, file: Path, pin: Pin) -> str:
        if (file, pin) not in self._hashes:
            self._hashes[file, pin] = pinned_sha256(file, pin)
        check_pin(file, pin)
        return self._hashes[file, pin]

    def _files(self, subset: Subset, split: str) -> list[Path]:
        """Return the file of a split, and its shards in order. A complete split has either."""
        folder = self.folder / subset.folder
        single = folder / f"{split}.parquet"
        shards = sorted(file for file in folder.glob(f"{split}-*.parquet") if _shard(file, split))
        return [single, *shards] if single.is_file() else shards

    def _lacking(self, subset: Subset, split: str) -> str | None:
        """Return the missing files of a split, or None if it is complete."""
        name, files = f"{subset.folder}/{split}", self._files(subset, split)
        if not files:
            return f"{name}.parquet"
        shards = [shard for file in files if (shard := _shard(file, split))]
        if files[0].stem == split:
            # The file and the shards can be of different versions, so neither is preferred.
            both = f"one version of {name} (there are {split}.parquet and {len(shards)} shards; move either away)"
            return both if shards else None
        total = shards[0][1]
        if lacking := sorted(set(range(total)) - {number for number, of in shards if of == total}):
            return ", ".join(f"{name}-{number:05}-of-{total:05}.parquet" for number in lacking)
        return (
            None
            if len(shards) == total
            else f"{name}-*.parquet of one version (there are {len(shards)} shards of {total})"
        )


def is_file_of(name: str, subset: Subset, split: str) -> bool:
    """Return whether a file of a mirror, named as in `MirrorSource.provenance`, is that of a split, or one of its shards."""
    file = Path(name)
    return str(file.parent) == subset.folder and (file.name == f"{split}.parquet" or _shard(file, split) is not None)


def _shard(file: Path, split: str) -> tuple[int, int] | None:
    """Return the number and the total of a shard from its hub name, which can end in a hash."""
    match = re.fullmatch(rf"{re.escape(split)}-(\d+)-of-(\d+)(?:-[0-9a-f]+)?\.parquet", file.name)
    return (int(match[1]), int(match[2])) if match else None
