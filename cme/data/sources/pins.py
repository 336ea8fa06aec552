"""Was a file replaced while it was being used?"""

from dataclasses import dataclass
from pathlib import Path

from cme.errors import DataError
from cme.files import sha256_file

__all__ = ["Pin", "check_pin", "pin_of", "pinned_sha256"]


@dataclass(frozen=True)
class Pin:
    """What changes when a file is replaced or written to.

    Attributes:
        size: bytes.
        modified: time of the last change, in nanoseconds.
        inode: number of the file on its file system.
    """

    size: int
    modified: int
    inode: int


def pin_of(file: Path) -> Pin:
    """The pin of a file as it is now.

    Raises:
        DataError: it is no longer there.
    """
    try:
        status = file.stat()
    except OSError as error:
        raise DataError(f"{file} can no longer be read: {error.strerror or error}. {_ADVICE}") from error
    return Pin(status.st_size, status.st_mtime_ns, status.st_ino)


def check_pin(file: Path, pin: Pin) -> None:
    """Check that a file is still the one that a pin was taken of.

    Raises:
        DataError: it was replaced or written to.
    """
    if pin_of(file) != pin:
        raise DataError(f"{file} was changed while it was being read. {_ADVICE}")


def pinned_sha256(file: Path, pin: Pin) -> str:
    """SHA-256 of a file that a pin was taken of before its rows were read.

    Raises:
        DataError: it was replaced or written to since.
    """
    check_pin(file, pin)
    digest = sha256_file(file)
    check_pin(file, pin)
    return digest


_ADVICE = "Leave the data alone while a command runs, and run the command again."
