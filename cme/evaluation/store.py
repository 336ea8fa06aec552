"""Stores the answers on disk, so that an interrupted evaluation continues after the last finished batch.

Each finished batch is appended to a file as one line, ``<checksum> <JSON>``. A line that a killed process left incomplete does
not match its checksum and is removed. Each process writes its own file and reads the files of all processes.
"""

import errno
import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cme.evaluation.engine.batch_cache import BatchCache, Kind, in_order
from cme.files import cannot_write, digest
from cme.processes import ALONE, Group

__all__ = ["Checks", "Lines", "Store"]

_CHECKSUM = 16


class Lines:
    """A file to which complete JSON values are appended.

    Args:
        path: the file, which is created with the first value.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._whole = False

    def append(self, value: Any) -> None:
        """Append one value in one system call.

        Raises:
            CMEError: if the disk is full or the folder is not writable.
        """
        try:
            if not self._whole:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._cut_torn_end()
                self._whole = True
            with self._path.open("ab", buffering=0) as file:
                written = _line(value)
                if file.write(written) != len(written):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise cannot_write(self._path, error) from error

    def _cut_torn_end(self) -> None:
        if self._path.is_file():
            content = self._path.read_bytes()
            os.truncate(self._path, content.rfind(b"\n") + 1)

    @staticmethod
    def read(path: Path) -> Iterator[Any]:
        """Yield the values in a file. Incomplete and damaged lines are skipped."""
        for line in path.read_bytes().splitlines(keepends=True):
            checksum, _, body = line.rstrip(b"\n").partition(b" ")
            if line.endswith(b"\n") and checksum == _checksum(body):
                yield json.loads(body)


class Store(BatchCache):
    """The answers of one model to one dataset.

    Args:
        folder: folder of the dataset.
        identity: all settings that determine the model's answers (JSON values). Answers with another identity are not used.
        group: the processes that share the work.
        checks: store of the self-check's verdicts.
        tokens: function that returns the number of tokens computed so far.
        advance: function that is called with the number of new answers.
    """

    def __init__(
        self,
        folder: Path,
        identity: Mapping[str, Any],
        *,
        group: Group = ALONE,
        checks: "Checks | None" = None,
        tokens: Callable[[], int] = lambda: 0,
        advance: Callable[[float], None] = lambda answers: None,
    ) -> None:
        self._folder, self._identity, self._group = folder, digest(dict(identity)), group
        self._checks, self._tokens, self._advance = checks, tokens, advance
        self._lines = Lines(folder / f"answers.{group.rank}.jsonl")
        self._kept: dict[str, list[Any]] = {}
        self._read()
        self._now = time.perf_counter(), tokens()

    def answers(
        self, batches: Sequence[Any], compute: Callable[[int], list[Any]], first: Collection[int] = ()
    ) -> list[list[Any]]:
        """Return the answers to every batch. Stored answers are read; each missing batch is computed by one process.

        An error in one process is raised in all processes.

        Args:
            batches: see `BatchCache.answers`.
            compute: see `BatchCache.answers`.
            first: see `BatchCache.answers`.
        """
        keys = [self._key(batch) for batch in batches]
        self._group.together(lambda: self._compute(keys, compute, first))
        if self._group.size > 1:
            self._read()
        return [self._kept[key] for key in keys]

    def holds(self, batches: Sequence[Any]) -> bool:
        """Return whether the answers to any of these batches are stored.

        Args:
            batches: see `BatchCache.answers`.
        """
        return any(self._key(batch) in self._kept for batch in batches)

    def checked(self, kind: Kind, fault: str | None) -> None:
        """Store the verdict of the self-check on a kind of batch. None means that no fault was detected."""
        if self._checks is not None:
            self._checks.add(kind, fault)

    def spent(self) -> tuple[float, int]:
        """Return the cost of the stored answers: seconds of the slowest process, and tokens of all processes."""
        costs = [
            [(line["seconds"], line["tokens"]) for line in Lines.read(file) if line["identity"] == self._identity]
            for file in self._files()
        ]
        seconds = max((sum(cost[0] for cost in file) for file in costs), default=0.0)
        return seconds, sum(cost[1] for file in costs for cost in file)

    def _compute(self, keys: Sequence[str], compute: Callable[[int], list[Any]], first: Collection[int]) -> None:
        for number in in_order(len(keys), first):
            if number % self._group.size != self._group.rank:
                continue
            if keys[number] not in self._kept:
                self._put(keys[number], compute(number))
            self._advance(len(self._kept[keys[number]]) * self._group.size)

    def _put(self, key: str, answers: list[Any]) -> None:
        before, self._now = self._now, (time.perf_counter(), self._tokens())
        cost = {"seconds": round(self._now[0] - before[0], 4), "tokens": self._now[1] - before[1]}
        self._lines.append({"identity": self._identity, "key": key, "answers": _as_json(answers), **cost})
        self._kept[key] = answers

    def _read(self) -> None:
        for file in self._files():
            for line in Lines.read(file):
                if line["identity"] == self._identity:
                    self._kept[line["key"]] = _from_json(line["answers"])

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("answers.*.jsonl"))

    def _key(self, batch: Any) -> str:
        return digest([self._identity, batch])


class Checks:
    """The self-check's verdicts on a model, stored so that a resumed evaluation behaves like an uninterrupted one.

    Args:
        folder: folder that contains the folders of the datasets.
        identity: see `Store`.
        group: the processes that share the work.

    Attributes:
        verdicts: the stored verdicts by kind of batch. None means that no fault was detected.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any], group: Group = ALONE) -> None:
        self._identity = digest(dict(identity))
        self._lines = Lines(folder / f"checks.{group.rank}.jsonl")
        self.verdicts: dict[Kind, str | None] = {
            (line["kind"][0], line["kind"][1], line["kind"][2]): line["fault"]
            for file in sorted(folder.glob("checks.*.jsonl"))
            for line in Lines.read(file)
            if line["identity"] == self._identity
        }

    def add(self, kind: Kind, fault: str | None) -> None:
        """Store a verdict. None means that no fault was detected."""
        self._lines.append({"identity": self._identity, "kind": list(kind), "fault": fault})


def _line(value: Any) -> bytes:
    body = json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
    return _checksum(body) + b" " + body + b"\n"


def _checksum(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest()[:_CHECKSUM].encode()


def _as_json(value: Any) -> Any:
    """Return a value that JSON can represent. NaN and infinity become ``{"float": name}``; finite numbers stay exact."""
    if isinstance(value, list | tuple):
        return [_as_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    return value


def _from_json(value: Any) -> Any:
    if isinstance(value, list):
        return [_from_json(item) for item in value]
    return float(value["float"]) if isinstance(value, dict) else value
