"""Writes files atomically: to a temporary name, followed by fsync and a rename."""

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
    """Yield a temporary path that is renamed to ``path`` at the end of the block, or removed after an error.

    Args:
        path: the file to write.
        durable: whether the file must survive a power failure. Work files that are checked before use do not need this.

    Raises:
        CMEError: if the disk is full or the folder is not writable.
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
    """Make the error for a file that cannot be written, with advice for its cause.

    Args:
        path: the file.
        error: the cause.
        kept: clause that names what is not lost, for the message.
    """
    again = f"run the command again{kept and f': {kept}'}."
    # numpy's tofile reports a short write without an error number.
    short = error.errno is None and str(error).endswith(" written")
    if short or error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        advice = f"Free some disk space and {again}"
    elif error.errno == errno.ENOENT:
        advice = (
            f"Its folder cannot be created, or was removed while the command ran. Choose another folder, or {again}"
        )
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        advice = "Choose a folder with write permission."
    elif error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
        advice = "Choose another folder, because a file and a folder have the same name."
    elif error.errno == errno.ENAMETOOLONG:
        advice = "Choose a shorter name."
    else:
        advice = f"Check the disk and {again}"
    return CMEError(f"cannot write {path}: {error.strerror or error}. {advice}")


def write_text(path: Path, text: str, *, durable: bool = True) -> None:
    """Write text (UTF-8) to a file atomically."""
    with atomic_path(path, durable=durable) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any, *, durable: bool = True) -> None:
    """Write a value atomically as indented JSON with a final newline.

    Raises:
        CMEError: if the disk is full or the folder is not writable.
        ValueError: if the value contains NaN or infinity.
    """
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", durable=durable)


def sha256_file(path: Path) -> str:
    """Compute the SHA-256 of a file in hexadecimal form."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(value: Any) -> str:
    """Compute the SHA-256 (hexadecimal) of a JSON value in canonical form. Equal values have equal digests on all machines."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
