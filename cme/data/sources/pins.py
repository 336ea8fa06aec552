"""Detection of files that change while they are used."""

from dataclasses import dataclass
from pathlib import Path

from cme.errors import DataError
from cme.files import sha256_file

__all__ = ["Pin", "check_pin", "pin_of", "pinned_sha256"]


@dataclass(frozen=True)
class Pin:
    """Attributes of a file that change when it is replaced or modified.

    Attributes:
        size: size in bytes.
        modified: time of the last change, in nanoseconds.
        inode: inode number of the file.
    """

    size: int
    modified: int
    inode: int


def pin_of(file: Path) -> Pin:
    """Return the current pin of a file.

    Raises:
        DataError: the file cannot be read any more.
    """
    try:
        status = file.stat()
    except OSError as error:
        raise DataError(f"{file} cannot be read any more ({error.strerror or error}). {_ADVICE}") from error
    return Pin(status.st_size, status.st_mtime_ns, status.st_ino)


def check_pin(file: Path, pin: Pin) -> None:
    """Check that a file has not changed since its pin was taken.

    Raises:
        DataError: the file was replaced or modified.
    """
    if pin_of(file) != pin:
        raise DataError(f"{file} was changed while it was being read. {_ADVICE}")


def pinned_sha256(file: Path, pin: Pin) -> str:
    """Compute the SHA-256 of a file whose pin was taken before its rows were read.

    Raises:
        DataError: the file was replaced or modified since then.
    """
    check_pin(file, pin)
    digest = sha256_file(file)
    check_pin(file, pin)
    return digest


_ADVICE = "Do not change the data while a command runs, and run the command again."
