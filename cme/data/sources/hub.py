"""The Hugging Face hub: only the Parquet files of the split that is asked for, kept in the Hugging Face cache."""

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
    """Rows from the hub, one split at a time, at the commits that the lock names.

    Args:
        lock: the lock; None: the one in the usual place, see `cme.env.lock_file`.
    """

    name = "hub"
    place = "the hub"

    def __init__(self, lock: Lock | None = None) -> None:
        self._hub = HubFiles(Lock.read(lock_file()) if lock is None else lock)
        self._right: set[Path] = set()

    def missing(self, spec: DatasetSpec, kind: str) -> dict[str, str]:
        """Nothing is known to be missing before the hub is asked."""
        return {}

    def locate(self, spec: DatasetSpec, subset: Subset, split: str) -> str:
        """The repository, configuration and split."""
        return hub_place(spec, subset, split)

    def files(self, spec: DatasetSpec, subset: Subset, split: str) -> list[Path]:
        """The split's Parquet files in the Hugging Face cache, in order; they are downloaded if need be.

        Raises:
            SourceError: the hub cannot be reached, has no such repository, configuration or split, or gives other files
                than it states.
            DataError: the split is not stored as Parquet.
        """
        locked = self._hub.files(spec, subset, split)
        revision, where = self._hub.revision(spec), self.locate(spec, subset, split)
        return [self._file(spec.hub_id, revision, file, where) for file in locked]

    def table(self, spec: DatasetSpec, subset: Subset, split: str) -> "pa.Table":
        """Download (once) and read the split's Parquet files.

        Raises:
            SourceError: as `files`.
            DataError: the split is not stored as Parquet, or a file is damaged.
        """
        return read_parquet(self.files(spec, subset, split), self.locate(spec, subset, split))

    def provenance(self, spec: DatasetSpec) -> dict[str, str]:
        """The commit that the rows come from."""
        revision = spec.revision or self._hub.lock.revision(spec.hub_id)
        return {"revision": revision} if revision else {}

    def pinning(self, spec: DatasetSpec) -> tuple[str, str]:
        """The commit, and what fixes it: ``pinned`` (the task's YAML), ``locked`` or ``current`` (nothing yet).

        Raises:
            SourceError: the hub cannot be reached or has no such repository.
        """
        revision = self._hub.revision(spec)
        return revision, self._hub.pinning(spec)

    def footer(self, spec: DatasetSpec, subset: Subset, split: str) -> Footer:
        """Columns and number of rows of a split; a few kilobytes of every file are read, nothing is kept.

        Raises:
            SourceError: as `files`.
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
        """A file in the cache, checked once in this process; a wrong one is fetched again, once."""
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
            f"{where}: {file.path} is not what the hub states ({file.size:,} bytes, {file.checksum}), fetched twice.\n"
            f"{OFFLINE_WAYS}"
        )


class _TooLongError(CMEError):
    """The hub sends more bytes than it states."""


def _bounded_progress(size: int) -> Any:
    """Make a class of progress bars that stop a download beyond ``size`` bytes.

    `huggingface_hub` reports every chunk to its progress bar before it writes the chunk, and compares the size only at the end.
    """
    from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]

    class Bounded(tqdm):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)  # type: ignore[no-untyped-call]
            self._received = int(options.get("initial") or 0)

        def update(self, n: float | None = 1) -> bool | None:
            self._received += int(n or 0)
            if self._received > size:
                raise _TooLongError(f"more than {size:,} bytes")
            return bool(super().update(n))

    return Bounded
