"""One command at a time in an output folder, also when the folder is shared by several machines.

The lock is a file in the folder. Where the system has ``flock``, it is held by the kernel and is free the moment its process
ends, however that happens. Where it has none, the file itself is the lock: it is made exclusively, says which process made it,
and is removed when that process is known to be gone.
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
"""Folder → the open lock file, for the folders that this process works in."""


@dataclass(frozen=True)
class Holder:
    """Who works in a folder.

    Attributes:
        host: name of the machine.
        pid: number of the process there.
        since: UTC time, ISO 8601.
        command: such as ``train``.
        started: when the process started, in the system's clock ticks; 0 where that is not known. A process of the same number
            that started later is another one.
    """

    host: str
    pid: int
    since: str
    command: str
    started: int = 0

    def __str__(self) -> str:
        """As messages name it."""
        return f"'cme {self.command}' (process {self.pid} on {self.host}, since {self.since})"


def locked(folder: Path, command: str) -> None:
    """Take the lock of an existing folder for this process, until `unlock` or the end of the process.

    A process that holds the lock may take it again.

    Args:
        folder: the folder.
        command: what the process does, for the message that others get.

    Raises:
        UsageError: another process holds it; the message says which.
        CMEError: the folder cannot be written.
    """
    place = folder.resolve()
    if place in _held:
        return
    path = place / LOCK_FILE
    try:
        _held[place] = _flock(path) if fcntl is not None else _create(path)
    except _TakenError as taken:
        raise UsageError(
            f"{folder} is in use by {taken.holder or 'another process'}. Wait until it ends, or give another --out."
        ) from None
    except OSError as error:
        raise cannot_write(path, error) from error
    holder = Holder(
        socket.gethostname(), os.getpid(), datetime.now(UTC).isoformat(timespec="seconds"), command, process_start()
    )
    with contextlib.suppress(OSError):  # who holds it is for people; the lock itself holds without
        file = _held[place]
        file.seek(0)
        file.truncate()
        file.write(json.dumps(asdict(holder)).encode())
        file.flush()


def unlock(folder: Path) -> None:
    """Give back the lock of a folder, if this process holds it, and remove its file."""
    file = _held.pop(folder.resolve(), None)
    if file is not None:
        with contextlib.suppress(OSError):
            (folder.resolve() / LOCK_FILE).unlink()
        file.close()


@contextlib.contextmanager
def locks_released() -> Iterator[None]:
    """Give back the locks that were taken in the block when it ends, also by an error: a program may go on after it."""
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
    """Open the file and lock it; the one that is locked is the one that has the name."""
    for _ in range(_ATTEMPTS):
        file = open(path, "a+b")  # noqa: SIM115, PTH123 (it stays open as long as the lock is held)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(file)
            file.close()
            raise _TakenError(holder) from None
        except OSError:
            # A file system without locks.
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
    """Make the file, which must not be there; one whose process is gone is removed first."""
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
                time.sleep(0.05)  # it was made this moment, and its holder has not signed it yet
            elif holder is None or not _is_gone(holder):
                raise _TakenError(holder) from None
            else:
                _remove(path, holder)
    raise _TakenError(None)


def _remove(path: Path, gone: Holder) -> None:
    """Remove the lock of a process that has ended; of two processes that see it, one does.

    The file is renamed first. Had another process taken the lock in between, its file is put back.
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
    """Whether the holder was a process of this machine that has ended."""
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
    """In a forked child: the lock stays with the parent alone, so it is free when that ends."""
    for file in _held.values():
        with contextlib.suppress(OSError):
            file.close()
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
