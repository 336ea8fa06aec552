"""The Hugging Face hub as a source. Only the Parquet files of the requested split are downloaded, to the Hugging Face cache."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cme.data.sources.lock import Lock, LockedFile
from cme.data.sources.parquet import Footer, read_footer, read_parquet
from cme.data.sources.resolve import HubFiles, hub_place
from cme.data.sources.retry import OFFLINE_WAYS, patiently, unreachable
from cme.env import lock_file
from cme.errors import CMEError, SourceError
from cme.suite import DatasetSpec, Subset

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["HubSource"]

_FOOTER_BLOCK = 1 << 16


class HubSource:
    """Rows from the hub, at the commits in the lock.

    Args:
        lock: the lock; None for the lock of `cme.env.lock_file`.
    """

    name = "hub"
    place = "the hub"

    def __init__(self, lock: Lock | None = None) -> None:
        self._hub = HubFiles(Lock.read(lock_file()) if lock is None else lock)
        self._right: set[Path] = set()

    def missing(self, spec: DatasetSpec, kind: str) -> dict[str, str]:
        """Return nothing, because missing splits are not known before the first request to the hub."""
        return {}

    def locate(self, spec: DatasetSpec, subset: Subset, split: str) -> str:
        """Return the repository, configuration and split."""
        return hub_place(spec, subset, split)

    def files(self, spec: DatasetSpec, subset: Subset, split: str) -> list[Path]:
        """Return the Parquet files of a split in the Hugging Face cache, in order, and download them if necessary.

        Raises:
            SourceError: the hub cannot be reached, has no such repository, configuration or split, or sends other files than
                it states.
            DataError: the split is not stored as Parquet.
        """
        locked = self._hub.files(spec, subset, split)
        revision, where = self._hub.revision(spec), self.locate(spec, subset, split)
        return [self._file(spec.hub_id, revision, file, where) for file in locked]

    def table(self, spec: DatasetSpec, subset: Subset, split: str) -> "pa.Table":
        """Read the Parquet files of a split, and download them if necessary.

        Raises:
            SourceError: see `files`.
            DataError: the split is not stored as Parquet, or a file is damaged.
        """
        return read_parquet(self.files(spec, subset, split), self.locate(spec, subset, split))

    def provenance(self, spec: DatasetSpec) -> dict[str, str]:
        """Return the commit of the rows."""
        revision = spec.revision or self._hub.lock.revision(spec.hub_id)
        return {"revision": revision} if revision else {}

    def pinning(self, spec: DatasetSpec) -> tuple[str, str]:
        """Return the commit and what fixes it: ``pinned`` (by the YAML), ``locked`` (by the lock) or ``current`` (not fixed).

        Raises:
            SourceError: the hub cannot be reached or has no such repository.
        """
        revision = self._hub.revision(spec)
        return revision, self._hub.pinning(spec)

    def footer(self, spec: DatasetSpec, subset: Subset, split: str) -> Footer:
        """Return the columns and the number of rows of a split. A few kilobytes of every file are read and not stored.

        Raises:
            SourceError: see `files`.
            DataError: the split is not stored as Parquet, or a file is damaged.
        """
        from huggingface_hub import HfFileSystem

        locked, where = self._hub.files(spec, subset, split), self.locate(spec, subset, split)
        at = f"datasets/{spec.hub_id}@{self._hub.revision(spec)}"
        system = HfFileSystem()

        def read(file: LockedFile) -> Footer:
            with system.open(f"{at}/{file.path}", "rb", block_size=_FOOTER_BLOCK) as opened:
                return read_footer(opened, f"{where}: {file.path}")

        try:
            return Footer.of_all([patiently(partial(read, file)) for file in locked])
        except Exception as error:
            raise unreachable(where, spec.hub_id, error) from error

    def _file(self, hub_id: str, revision: str, file: LockedFile, where: str) -> Path:
        """Return a file in the cache, which is checked once per process. A wrong file is downloaded again once."""
        from huggingface_hub import hf_hub_download

        def get(again: bool) -> str:
            return hf_hub_download(
                hub_id,
                file.path,
                repo_type="dataset",
                revision=revision,
                force_download=again,
                tqdm_class=_bounded_progress(file.size),
            )

        for again in (False, True):
            try:
                path = Path(patiently(partial(get, again)))
            except _TooLongError:
                continue
            except Exception as error:
                raise unreachable(where, hub_id, error) from error
            if path in self._right or file.matches(path):
                self._right.add(path)
                return path
        raise SourceError(
            f"{where}: two downloads of {file.path} do not have the size and checksum on the hub ({file.size:,} bytes, "
            f"{file.checksum}).\n"
            f"{OFFLINE_WAYS}"
        )


class _TooLongError(CMEError):
    """The hub sends more bytes than it states."""


def _bounded_progress(size: int) -> Any:
    """Make a class of progress bars that stop a plain download beyond ``size`` bytes.

    `huggingface_hub` reports every chunk to its progress bar before it writes the chunk, and compares the size only at the end.
    Its Xet downloads are not bounded here. They verify chunks by their hash and know the size, and their bars also count
    transferred bytes, which may exceed it.

    Args:
        size: size of the file in bytes, as the hub states it.
    """
    from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]

    class Bounded(tqdm):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)  # type: ignore[no-untyped-call]
            self._received = int(options.get("initial") or 0)
            self._bounded = ".xet_" not in str(options.get("name"))

        def update(self, n: float | None = 1) -> bool | None:
            self._received += int(n or 0)
            if self._bounded and self._received > size:
                raise _TooLongError(f"more than {size:,} bytes")
            return bool(super().update(n))

    return Bounded
