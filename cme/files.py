"""Files that are either whole or absent: written to a temporary name, fsynced, renamed."""

import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cme.errors import CMEError
from cme.readers.json_file import read_json

__all__ = ["atomic_path", "cannot_write", "digest", "read_json", "sha256_file", "write_json", "write_text"]


@contextmanager
def atomic_path(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it is fsynced and renamed to ``path``, on failure removed.

    Args:
        path: the file to write.
        durable: whether it must outlive a power failure; work files that are checked before they are used again need not.

    Raises:
        CMEError: the disk is full or the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        os.close(handle)
    except OSError as error:
        raise cannot_write(path, error) from error
    temporary = Path(name)
    try:
        yield temporary
        if durable:
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise cannot_write(path, error) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def cannot_write(path: Path, error: OSError, *, kept: str = "") -> CMEError:
    """The error for a file that cannot be written, with what helps against this very cause.

    Args:
        path: the file.
        error: the cause.
        kept: what is not lost, for the message.
    """
    again = f"run the command again{kept and f': {kept}'}."
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        advice = f"Free some room and {again}"
    elif error.errno == errno.ENOENT:
        advice = f"Its folder was removed while the command ran: {again}"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        advice = "Choose a folder that you may write to."
    elif error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
        advice = "A file lies where a folder should be, or the other way round. Choose another folder."
    elif error.errno == errno.ENAMETOOLONG:
        advice = "Choose a shorter name."
    else:
        advice = f"See to the disk and {again}"
    return CMEError(f"cannot write {path}: {error.strerror or error}. {advice}")


def write_text(path: Path, text: str, *, durable: bool = True) -> None:
    """Write ``text`` (UTF-8) so that ``path`` is never half there."""
    with atomic_path(path, durable=durable) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any, *, durable: bool = True) -> None:
    """Write ``value`` as indented JSON with a final newline; NaN and infinity are refused (ValueError)."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", durable=durable)


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(value: Any) -> str:
    """SHA-256 (hex) of a JSON value in canonical form: the same value gives the same digest everywhere."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
