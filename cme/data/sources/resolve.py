"""Commits on the hub and their Parquet files, which are looked up once and then taken from the lock."""

from contextlib import suppress
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from cme.data.sources.lock import Lock, LockedFile, split_key
from cme.data.sources.retry import OFFLINE_WAYS, patiently, unreachable
from cme.errors import DataError, SourceError
from cme.suite import DatasetSpec, Subset

if TYPE_CHECKING:
    from huggingface_hub import RepoFile

__all__ = ["HubFiles", "hub_place"]

_TIMEOUT = 30.0


def hub_place(spec: DatasetSpec, subset: Subset, split: str) -> str:
    """Return the repository, configuration and split for messages."""
    return f"hub:{spec.hub_id}/{subset.config or 'default'}/{split}"


class HubFiles:
    """The files of the datasets on the hub.

    The commit is the pinned revision of the YAML, else the commit in the lock, else the current commit on the hub, which is added
    to the lock.

    Args:
        lock: the lock, to which new commits and files are added.
        update: replace the commit of repositories without a pinned revision by the current one.
    """

    def __init__(self, lock: Lock, *, update: bool = False) -> None:
        self.lock = lock
        self._update = update
        self._current: set[str] = set()
        self._splits: dict[tuple[str, str, str | None], dict[str, list[str]]] = {}

    def pinning(self, spec: DatasetSpec) -> str:
        """Return what fixes the commit: ``pinned`` (by the YAML), ``locked`` (by the lock) or ``current`` (not fixed)."""
        if spec.revision:
            return "pinned"
        return "locked" if self.lock.revision(spec.hub_id) and spec.hub_id not in self._current else "current"

    def revision(self, spec: DatasetSpec) -> str:
        """Return the commit of the rows of a dataset.

        Raises:
            SourceError: the hub cannot be reached or has no such repository.
        """
        locked = self.lock.revision(spec.hub_id)
        if spec.revision:
            return spec.revision
        if locked and not (self._update and spec.hub_id not in self._current):
            return locked
        from huggingface_hub import HfApi

        where = f"hub:{spec.hub_id}"
        try:
            commit = patiently(lambda: HfApi().dataset_info(spec.hub_id, timeout=_TIMEOUT).sha)
        except Exception as error:
            raise unreachable(where, spec.hub_id, error) from error
        if not commit:
            raise SourceError(f"{where}: the hub does not state its commit.\n{OFFLINE_WAYS}")
        self._current.add(spec.hub_id)
        self.lock.put(spec.hub_id, commit)
        return commit

    def files(self, spec: DatasetSpec, subset: Subset, split: str) -> tuple[LockedFile, ...]:
        """Return the Parquet files of a split of a subset, in order.

        Raises:
            SourceError: the hub cannot be reached, or has no such repository, configuration or split.
            DataError: the split is not stored as Parquet.
        """
        revision, key = self.revision(spec), split_key(subset.config, split)
        files = self.lock.files(spec.hub_id, revision, key)
        if files is None:
            where = hub_place(spec, subset, split)
            try:
                files = self._look_up(spec, revision, subset.config, split, where)
            except Exception as error:
                raise unreachable(where, spec.hub_id, error) from error
            self.lock.put(spec.hub_id, revision, key, files)
        return files

    def _look_up(
        self, spec: DatasetSpec, revision: str, config: str | None, split: str, where: str
    ) -> tuple[LockedFile, ...]:
        from huggingface_hub import HfApi, RepoFile

        place = (spec.hub_id, revision, config)
        if place not in self._splits:
            self._splits[place] = _splits(spec.hub_id, revision, config)
        known = self._splits[place]
        if split not in known:
            raise SourceError(
                f"{where}: the hub has no such split. Its splits are: {', '.join(known) or 'none'}.\n{OFFLINE_WAYS}"
            )
        paths = known[split]
        if any(PurePosixPath(path).suffix != ".parquet" for path in paths):
            raise DataError(
                f"{where} is not stored as Parquet. CME only reads Parquet files and never runs dataset scripts."
            )
        infos = patiently(lambda: HfApi().get_paths_info(spec.hub_id, paths, repo_type="dataset", revision=revision))
        files = {item.path: _locked(item) for item in infos if isinstance(item, RepoFile)}
        return tuple(files[path] for path in paths)


def _splits(hub_id: str, revision: str, config: str | None) -> dict[str, list[str]]:
    """Return the paths of the files by split, which `datasets` reads from the card of the repository."""
    import datasets
    from huggingface_hub import HfFileSystem, hf_hub_download
    from huggingface_hub.errors import RemoteEntryNotFoundError
    from huggingface_hub.hf_file_system import HfFileSystemResolvedRepositoryPath

    # `datasets` hides the status code of the hub and its requests to wait. The first request, for the card, does not.
    with suppress(RemoteEntryNotFoundError):
        patiently(lambda: hf_hub_download(hub_id, "README.md", repo_type="dataset", revision=revision))
    builder = patiently(lambda: datasets.load_dataset_builder(hub_id, config, revision=revision))
    system = HfFileSystem()
    splits = {}
    for name, urls in (builder.config.data_files or {}).items():
        resolved = [patiently(partial(system.resolve_path, url)) for url in urls]
        splits[str(name)] = [
            item.path_in_repo for item in resolved if isinstance(item, HfFileSystemResolvedRepositoryPath)
        ]
    return splits


def _locked(item: "RepoFile") -> LockedFile:
    return LockedFile(item.path, item.size, f"sha256:{item.lfs.sha256}" if item.lfs else f"git:{item.blob_id}")
