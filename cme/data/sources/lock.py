"""``cme.lock``: which commit of every hub repository the rows come from, and what its files are.

A repository is looked up once; from then on everybody who has the lock reads the same bytes, whatever the repository's
``main`` has become. It is a small JSON file to be kept under version control, like other tools' lock files.
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
        size: in bytes.
        checksum: ``sha256:…`` (files in large-file storage) or ``git:…`` (the git blob's SHA-1), as the hub states it.
    """

    path: str
    size: int
    checksum: str

    def matches(self, file: Path) -> bool:
        """Whether a local file has this size and checksum."""
        return file.stat().st_size == self.size and _checksum(file, self.checksum.partition(":")[0]) == self.checksum


@dataclass
class LockedRepository:
    """A repository at one commit.

    Attributes:
        revision: the commit, 40 hexadecimal digits.
        splits: ``configuration/split`` → its Parquet files, in order; only what was asked for so far.
    """

    revision: str
    splits: dict[str, tuple[LockedFile, ...]] = field(default_factory=dict)


class _Stored(Model):
    """A repository as the file has it."""

    revision: str
    splits: dict[str, Items[dict[str, Any]]]


class Lock:
    """The lock file, read and kept.

    Args:
        path: where it is kept; None: in memory only.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.repositories: dict[str, LockedRepository] = {}

    @classmethod
    def read(cls, path: Path) -> "Lock":
        """Read a lock; there is nothing in it if the file does not exist.

        Raises:
            CMEError: the file is no lock.
        """
        lock = cls(path)
        if path.exists():
            lock.repositories = _parse(read_json(path), path)
        return lock

    def in_memory(self) -> "Lock":
        """The same commits, in a lock that is not kept."""
        lock = Lock()
        lock.adopt(self)
        return lock

    def revision(self, hub_id: str) -> str | None:
        """The locked commit of a repository, if it has one."""
        entry = self.repositories.get(hub_id)
        return entry.revision if entry else None

    def files(self, hub_id: str, revision: str, key: str) -> tuple[LockedFile, ...] | None:
        """Files of a split at a commit, or None if they were never asked for."""
        entry = self.repositories.get(hub_id)
        return entry.splits.get(key) if entry and entry.revision == revision else None

    def noted(self, hub_id: str) -> dict[str, tuple[LockedFile, ...]]:
        """Files of a repository's splits, at whatever commit it is locked."""
        entry = self.repositories.get(hub_id)
        return entry.splits if entry else {}

    def adopt(self, other: "Lock") -> None:
        """Take over repositories from another lock that this one does not know."""
        for hub_id, entry in other.repositories.items():
            self.repositories.setdefault(hub_id, LockedRepository(entry.revision, dict(entry.splits)))

    def put(self, hub_id: str, revision: str, key: str | None = None, files: tuple[LockedFile, ...] = ()) -> None:
        """Set a repository's commit and, with ``key``, a split's files; another commit's files are forgotten.

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
        """Write the file, whole or not at all.

        Raises:
            CMEError: it cannot be written.
        """
        if self.path is None:
            return
        repositories = {hub_id: asdict(entry) for hub_id, entry in sorted(self.repositories.items())}
        try:
            write_json(self.path, {"version": _VERSION, "repositories": repositories})
        except CMEError as error:
            raise CMEError(f"{error}\nCME_LOCK may name another place for the lock.") from error


def split_key(config: str | None, split: str) -> str:
    """How a configuration's split is called in a lock."""
    return f"{config or 'default'}/{split}"


def _parse(value: Any, path: Path) -> dict[str, LockedRepository]:
    if (
        not isinstance(value, dict)
        or value.get("version") != _VERSION
        or not isinstance(value.get("repositories"), dict)
    ):
        raise CMEError(f"{path} is no {LOCK} of version {_VERSION}. Move it away: a new one is made.")
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
    """A file's checksum as the hub states it."""
    if kind == "sha256":
        return f"sha256:{sha256_file(file)}"
    # A git object's name is the hash of a header and the content.
    digest = hashlib.sha1(b"blob %d\0" % file.stat().st_size, usedforsecurity=False)
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK):
            digest.update(chunk)
    return f"git:{digest.hexdigest()}"
