"""``cme.lock``: the commit of every hub repository that rows come from, and its files.

The current commit of a repository is looked up once. Everybody with the lock then reads the same bytes, even if the repository
changes. The lock is a small JSON file for version control, like the lock files of other tools.
"""

import hashlib
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cme.config import Items, Model, build, validated
from cme.errors import CMEError
from cme.files import read_json, sha256_file, write_json

__all__ = ["LOCK", "Lock", "LockedFile", "LockedRepository", "split_key"]

LOCK = "cme.lock"
_VERSION = 1
_CHUNK = 1 << 20


@validated("file of a lock")
class LockedFile:
    """A file of a commit.

    Attributes:
        path: path in the repository.
        size: size in bytes.
        checksum: ``sha256:…`` for files in large-file storage, or ``git:…`` with the SHA-1 of the git blob, as on the hub.
    """

    path: str
    size: int
    checksum: str

    def matches(self, file: Path) -> bool:
        """Return whether a local file has this size and checksum."""
        return file.stat().st_size == self.size and _checksum(file, self.checksum.partition(":")[0]) == self.checksum


@dataclass
class LockedRepository:
    """A repository at one commit.

    Attributes:
        revision: the commit, in 40 hexadecimal digits.
        splits: Parquet files by ``configuration/split``, in order. Only requested splits are listed.
    """

    revision: str
    splits: dict[str, tuple[LockedFile, ...]] = field(default_factory=dict)


class _Stored(Model):
    """A repository in the form of the lock file."""

    revision: str
    splits: dict[str, Items[dict[str, Any]]]


class Lock:
    """A lock.

    Args:
        path: path of the lock file; None for a lock in memory only.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.repositories: dict[str, LockedRepository] = {}

    @classmethod
    def read(cls, path: Path) -> "Lock":
        """Read a lock. It is empty if the file does not exist.

        Raises:
            CMEError: the file is not a lock.
        """
        lock = cls(path)
        if path.exists():
            lock.repositories = _parse(read_json(path), path)
        return lock

    def in_memory(self) -> "Lock":
        """Return a copy of this lock that is not written to a file."""
        lock = Lock()
        lock.adopt(self)
        return lock

    def revision(self, hub_id: str) -> str | None:
        """Return the locked commit of a repository, or None."""
        entry = self.repositories.get(hub_id)
        return entry.revision if entry else None

    def files(self, hub_id: str, revision: str, key: str) -> tuple[LockedFile, ...] | None:
        """Return the files of a split at a commit, or None if they were never requested."""
        entry = self.repositories.get(hub_id)
        return entry.splits.get(key) if entry and entry.revision == revision else None

    def noted(self, hub_id: str) -> dict[str, tuple[LockedFile, ...]]:
        """Return the files of all splits of a repository, at its locked commit."""
        entry = self.repositories.get(hub_id)
        return entry.splits if entry else {}

    def adopt(self, other: "Lock") -> None:
        """Add the repositories of another lock that this one does not contain."""
        for hub_id, entry in other.repositories.items():
            self.repositories.setdefault(hub_id, LockedRepository(entry.revision, dict(entry.splits)))

    def put(self, hub_id: str, revision: str, key: str | None = None, files: tuple[LockedFile, ...] = ()) -> None:
        """Set the commit of a repository and, with ``key``, the files of a split. Files of another commit are removed.

        Raises:
            CMEError: the lock cannot be written.
        """
        entry = self.repositories.get(hub_id)
        if entry is None or entry.revision != revision:
            entry = self.repositories[hub_id] = LockedRepository(revision)
        if key is not None:
            entry.splits = dict(sorted({**entry.splits, key: files}.items()))
        self.save()

    def save(self) -> None:
        """Write the file atomically.

        Raises:
            CMEError: the file cannot be written.
        """
        if self.path is None:
            return
        repositories = {hub_id: asdict(entry) for hub_id, entry in sorted(self.repositories.items())}
        try:
            write_json(self.path, {"version": _VERSION, "repositories": repositories})
        except CMEError as error:
            raise CMEError(f"{error}\nSet CME_LOCK to use another path for the lock.") from error


def split_key(config: str | None, split: str) -> str:
    """Return the name of a split of a configuration in a lock."""
    return f"{config or 'default'}/{split}"


def _parse(value: Any, path: Path) -> dict[str, LockedRepository]:
    if (
        not isinstance(value, dict)
        or value.get("version") != _VERSION
        or not isinstance(value.get("repositories"), dict)
    ):
        raise CMEError(f"{path} is not a {LOCK} of version {_VERSION}. Move it to get a new one.")
    repositories = {}
    for hub_id, item in value["repositories"].items():
        entry = build(_Stored, item if isinstance(item, dict) else {}, f"{path}: {hub_id}", error=CMEError)
        if not re.fullmatch(r"[0-9a-f]{40}", entry.revision):
            raise CMEError(f"{path}: {hub_id}: {entry.revision!r} is not a commit (40 hexadecimal digits).")
        splits = {
            key: tuple(build(LockedFile, file, f"{path}: {hub_id}/{key}", error=CMEError) for file in files)
            for key, files in entry.splits.items()
        }
        repositories[hub_id] = LockedRepository(entry.revision, splits)
    return repositories


def _checksum(file: Path, kind: str) -> str:
    """Compute the checksum of a file as the hub states it."""
    if kind == "sha256":
        return f"sha256:{sha256_file(file)}"
    # The name of a git object is the hash of a header and the content.
    digest = hashlib.sha1(b"blob %d\0" % file.stat().st_size, usedforsecurity=False)
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK):
            digest.update(chunk)
    return f"git:{digest.hexdigest()}"
