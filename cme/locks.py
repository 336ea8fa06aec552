"""Locks an output folder for one command at a time, even if several machines share the folder.

The lock is a file in the folder. On systems with ``flock``, the kernel holds the lock and releases it when the process ends for
any reason. On other systems, the existence of the file is the lock. It is created exclusively, names its process, and is removed
when that process has ended.
"""

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from cme.errors import UsageError
from cme.files import cannot_write
from cme.machine import process_start
from cme.readers.json_file import parse_json

try:
    import fcntl
except ImportError:  # pragma: no cover (Windows)
    fcntl = None  # type: ignore[assignment]

__all__ = ["LOCK_FILE", "Holder", "locked", "locks_released", "unlock"]

LOCK_FILE = ".cme.lock"

_ATTEMPTS = 50
_LARGEST = 4096
_held: dict[Path, IO[bytes]] = {}
"""Open lock files of this process, by folder."""


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock.

    Attributes:
        host: name of the machine.
        pid: id of the process on that machine.
        since: time when the lock was taken (UTC, ISO 8601).
        command: the command, such as ``train``.
        started: time when the process started, in clock ticks of the system. 0 if it is unknown. It distinguishes processes
            that have the same id one after the other.
    """

    host: str
    pid: int
    since: str
    command: str
    started: int = 0

    def __str__(self) -> str:
        """Return the description of the process for messages."""
        return f"'cme {self.command}' (process {self.pid} on {self.host}, since {self.since})"


def locked(folder: Path, command: str) -> None:
    """Lock an existing folder until `unlock` is called or the process ends.

    A process that holds the lock can take it again.

    Args:
        folder: the folder.
        command: name of the command, for the messages of other processes.

    Raises:
        UsageError: if another process holds the lock. The message names the process.
        CMEError: if the folder is not writable.
    """
    place = folder.resolve()
    if place in _held:
        return
    path = place / LOCK_FILE
    try:
        _held[place] = _flock(path) if fcntl is not None else _create(path)
    except _TakenError as taken:
        raise UsageError(
            f"{folder} is in use by {taken.holder or 'another process'}. Wait until it ends, or set another --out."
        ) from None
    except OSError as error:
        raise cannot_write(path, error) from error
    holder = Holder(
        socket.gethostname(), os.getpid(), datetime.now(UTC).isoformat(timespec="seconds"), command, process_start()
    )
    # The lock is valid without its description, so a failed write does not matter.
    with contextlib.suppress(OSError):
        file = _held[place]
        file.seek(0)
        file.truncate()
        file.write(json.dumps(asdict(holder)).encode())
        file.flush()


def unlock(folder: Path) -> None:
    """Release the lock of a folder and remove its file, if this process holds the lock."""
    file = _held.pop(folder.resolve(), None)
    if file is not None:
        with contextlib.suppress(OSError):
            (folder.resolve() / LOCK_FILE).unlink()
        file.close()


@contextlib.contextmanager
def locks_released() -> Iterator[None]:
    """Release all locks that were taken in the block when the block ends, also after an error."""
    before = set(_held)
    try:
        yield
    finally:
        for folder in set(_held) - before:
            unlock(folder)


class _TakenError(Exception):
    def __init__(self, holder: Holder | None) -> None:
        super().__init__()
        self.holder = holder


def _flock(path: Path) -> IO[bytes]:
    """Open and lock the file, and check that the path still refers to the locked file."""
    for _ in range(_ATTEMPTS):
        file = open(path, "a+b")  # noqa: SIM115, PTH123 (the file stays open while the lock is held)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(file)
            file.close()
            raise _TakenError(holder) from None
        except OSError:
            # The file system does not support locks.
            file.close()
            return _create(path)
        try:
            if os.fstat(file.fileno()).st_ino == path.stat().st_ino:
                return file
        except FileNotFoundError:
            pass
        file.close()
    raise _TakenError(None)


def _create(path: Path) -> IO[bytes]:
    """Create the lock file exclusively. The file of a process that has ended is removed first."""
    for _ in range(_ATTEMPTS):
        try:
            return open(path, "x+b")  # noqa: PTH123 (as above)
        except FileExistsError:
            try:
                with path.open("rb") as file:
                    holder, age = _holder(file), time.time() - os.fstat(file.fileno()).st_mtime
            except FileNotFoundError:
                continue
            if holder is None and age < 1:
                # The file is new, and its process has not written its description yet.
                time.sleep(0.05)
            elif holder is None or not _is_gone(holder):
                raise _TakenError(holder) from None
            else:
                _remove(path, holder)
    raise _TakenError(None)


def _remove(path: Path, gone: Holder) -> None:
    """Remove the lock file of a process that has ended. If several processes try this, only one succeeds.

    The file is renamed first. If another process has taken the lock in the meantime, its file is restored.
    """
    stale = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with contextlib.suppress(FileNotFoundError):
        path.rename(stale)
        with stale.open("rb") as file:
            if _holder(file) != gone:
                with contextlib.suppress(FileExistsError):
                    os.link(stale, path)
        stale.unlink()


def _holder(file: IO[bytes]) -> Holder | None:
    try:
        file.seek(0)
        values: Any = parse_json(file.read(_LARGEST))
        return Holder(**{key: type(_EXAMPLE[key])(value) for key, value in values.items()})
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


_EXAMPLE: dict[str, Any] = asdict(Holder("", 0, "", ""))


def _is_gone(holder: Holder) -> bool:
    """Return whether the holder was a process of this machine that has ended."""
    if holder.host != socket.gethostname():
        return False
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    born = process_start(holder.pid)
    return bool(holder.started and born and born != holder.started)


def _forget() -> None:
    """Close the lock files in a forked child. Only the parent holds the locks, so they are released when it ends."""
    for file in _held.values():
        with contextlib.suppress(OSError):
            file.close()
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
