"""Locks an output folder for one command at a time, even if several machines share the folder.

The lock is a file in the folder. On systems with ``flock``, the kernel holds the lock and releases it when the process ends for
any reason. On other systems, the existence of the file is the lock. It is created exclusively, names its process, and is removed
when that process has ended.

Neither protects a folder between machines on every file system, so the lock is also a lease: its holder touches the file every
`BEAT` seconds. Another machine takes the lock only if the file was not touched for `LEASE` seconds.
"""

import contextlib
import json
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from cme.errors import UsageError
from cme.files import cannot_write
from cme.machine import is_zombie, machine_id, process_start
from cme.readers.json_file import parse_json

try:
    import fcntl
except ImportError:  # pragma: no cover (Windows)
    fcntl = None  # type: ignore[assignment]

__all__ = ["BEAT", "LEASE", "LOCK_FILE", "Holder", "holder_of", "locked", "locks_released", "unlock"]

LOCK_FILE = ".cme.lock"

BEAT = 10.0
"""Seconds between two signs of life of the holder."""

LEASE = 90.0
"""Seconds without a sign of life after which another machine takes a lock."""

_REMOVAL = 10.0
"""Seconds after which a process that removes an old lock file counts as ended. The removal takes milliseconds."""

_TURN = f"{LOCK_FILE}.turn.tmp"
"""File of the process that removes an old lock file."""

_ATTEMPTS = 50
_LARGEST = 4096
_held: dict[Path, IO[bytes]] = {}
"""Open lock files of this process, by folder."""
_signed: dict[Path, "Holder"] = {}
"""Descriptions that this process wrote into them."""
_beating: threading.Event | None = None
"""Ends the thread that touches the lock files. None if there is no such thread."""


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
        machine: identity of the machine and its set of process ids (`cme.machine.machine_id`). Empty if the lock is from an
            earlier version, which gave no signs of life.
    """

    host: str
    pid: int
    since: str
    command: str
    started: int = 0
    machine: str = ""

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
    # It is made before the file, so that the file is without a description only for a moment.
    holder = Holder(
        socket.gethostname(),
        os.getpid(),
        datetime.now(UTC).isoformat(timespec="seconds"),
        command,
        process_start(),
        machine_id(),
    )
    try:
        _held[place] = _flock(path) if fcntl is not None else _create(path)
    except _TakenError as taken:
        raise UsageError(_in_use(folder, taken.holder)) from None
    except OSError as error:
        raise cannot_write(path, error) from error
    _signed[place] = holder
    # The lock is valid without its description, so a failed write does not matter.
    with contextlib.suppress(OSError):
        file = _held[place]
        file.seek(0)
        file.truncate()
        file.write(json.dumps(asdict(holder)).encode())
        file.flush()
    _start_beating()


def unlock(folder: Path) -> None:
    """Release the lock of a folder and remove its file, if this process holds the lock."""
    place = folder.resolve()
    file = _held.pop(place, None)
    _signed.pop(place, None)
    if file is not None:
        with contextlib.suppress(OSError):
            # Another process may have taken the lock, if this one was silent for too long.
            if _is_at(file, place / LOCK_FILE):
                (place / _TURN).unlink(missing_ok=True)
                (place / LOCK_FILE).unlink()
        file.close()
    if not _held:
        _stop_beating()


def holder_of(folder: Path) -> Holder | None:
    """Return the process that holds the lock of a folder, or None. Nothing is changed, and nothing is locked."""
    try:
        with (folder / LOCK_FILE).open("rb") as file:
            holder = _holder(file)
            if holder is None or _is_gone(holder):
                return None
            expired = _is_remote(holder) and _silence(file, folder) >= LEASE
    except OSError:
        return None
    return None if expired else holder


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


def _in_use(folder: Path, holder: Holder | None) -> str:
    remote = holder is not None and _is_remote(holder)
    away = (
        f" If {holder.host} has stopped, the folder is free {LEASE:g} seconds after that." if holder and remote else ""
    )
    return f"{folder} is in use by {holder or 'another process'}. Wait until it ends, or set another --out.{away}"


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
            if _is_at(file, path):
                _check_lease(file, path.parent)
                return file
        except _TakenError:
            file.close()
            raise
        file.close()
    raise _TakenError(None)


def _check_lease(file: IO[bytes], folder: Path) -> None:
    """Refuse a lock that a process of another machine holds. Some file systems keep ``flock`` within one machine."""
    holder = _holder(file)
    if holder is not None and _is_remote(holder) and _silence(file, folder) < LEASE:
        raise _TakenError(holder)


def _create(path: Path) -> IO[bytes]:
    """Create the lock file exclusively. The file of a process that has ended is removed first."""
    for _ in range(_ATTEMPTS):
        try:
            return open(path, "x+b")  # noqa: PTH123 (as above)
        except FileExistsError:
            try:
                with path.open("rb") as file:
                    holder, age = _holder(file), _silence(file, path.parent)
            except FileNotFoundError:
                continue
            if holder is None and age < 1:
                # The file is new, and its process has not written its description yet.
                time.sleep(0.05)
            elif age >= LEASE if holder is None else (_is_gone(holder) or (_is_remote(holder) and age >= LEASE)):
                _remove(path, holder)
            else:
                raise _TakenError(holder) from None
    raise _TakenError(None)


def _remove(path: Path, gone: Holder | None) -> None:
    """Remove the lock file of a process that has ended, if it is still there.

    Processes that try this take turns with a second file. Otherwise a slow one would remove the file of a process that has taken
    the lock in the meantime. The turn of a process that was killed ends after `_REMOVAL` seconds.

    Args:
        path: the lock file.
        gone: what was read from it; None if it has no description.
    """
    turn = path.with_name(_TURN)
    try:
        mine = open(turn, "x+b")  # noqa: SIM115, PTH123 (closed below)
    except FileExistsError:
        with contextlib.suppress(FileNotFoundError):
            with turn.open("rb") as file:
                ended = _silence(file, path.parent) >= _REMOVAL
            if ended:
                turn.unlink()
        time.sleep(0.05)
        return
    with mine:
        try:
            with path.open("rb") as file:
                unchanged = _holder(file) == gone and (gone is not None or _silence(file, path.parent) >= LEASE)
            if unchanged and _is_at(mine, turn):
                path.unlink()
        except FileNotFoundError:
            pass
        finally:
            if _is_at(mine, turn):
                turn.unlink(missing_ok=True)


def _is_at(file: IO[bytes], path: Path) -> bool:
    """Return whether a path still refers to an open file."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _holder(file: IO[bytes]) -> Holder | None:
    try:
        file.seek(0)
        values: Any = parse_json(file.read(_LARGEST))
        return Holder(**{key: type(_EXAMPLE[key])(value) for key, value in values.items()})
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


_EXAMPLE: dict[str, Any] = asdict(Holder("", 0, "", ""))


def _is_remote(holder: Holder) -> bool:
    return holder.machine not in ("", machine_id())


def _is_gone(holder: Holder) -> bool:
    """Return whether the holder was a process of this machine that has ended."""
    if _is_remote(holder) or (not holder.machine and holder.host != socket.gethostname()):
        return False
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    born = process_start(holder.pid)
    if is_zombie(holder.pid):
        return True
    return bool(holder.started and born and born != holder.started)


def _silence(file: IO[bytes], folder: Path) -> float:
    """Return for how many seconds a lock file was not touched, by the clock of the file system."""
    touched = os.fstat(file.fileno()).st_mtime
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=f"{LOCK_FILE}.", suffix=".tmp") as now:
            return os.fstat(now.fileno()).st_mtime - touched
    except OSError:
        return time.time() - touched


def _start_beating() -> None:
    global _beating
    if _beating is None:
        _beating = threading.Event()
        threading.Thread(target=_beat, args=(_beating,), name="cme-locks", daemon=True).start()


def _stop_beating() -> None:
    global _beating
    if _beating is not None:
        _beating.set()
        _beating = None


def _beat(ended: threading.Event) -> None:
    """Touch the lock files that this process holds, until the event is set. Stop the process if another one has taken a lock."""
    while not ended.wait(BEAT):
        for place, file in list(_held.items()):
            try:
                with (place / LOCK_FILE).open("rb") as there:
                    other = _holder(there)
                if other is not None and other != _signed.get(place) and place in _signed:
                    sys.stderr.write(
                        f"cme: {place} was taken by {other}, because this process was silent for more than {LEASE:g} seconds. "
                        "This process stops.\n"
                    )
                    # A background job of a shell script ignores SIGINT, and Python then raises no KeyboardInterrupt.
                    ignored = signal.getsignal(signal.SIGINT) is not signal.default_int_handler
                    os.kill(os.getpid(), signal.SIGTERM if ignored else signal.SIGINT)
                    return
                os.utime(file.fileno())
            # The folder may be removed or unreachable for a while, and the file may be closed by `unlock`.
            except (OSError, ValueError):
                continue


def _forget() -> None:
    """Close the lock files in a forked child. Only the parent holds the locks, so they are released when it ends."""
    global _beating
    for file in _held.values():
        with contextlib.suppress(OSError):
            file.close()
    _held.clear()
    _signed.clear()
    _beating = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
