"""A file's bytes, up to a limit: counted while they are read, whatever the file system says of the size."""

import os
import stat
from pathlib import Path

from cme.errors import CMEError

__all__ = ["has_surrogate", "read_bounded"]


def read_bounded(path: Path, largest: int, error: type[CMEError] = CMEError) -> bytes:
    """Read a whole file of at most ``largest`` bytes.

    A named pipe or a device is refused, so reading never waits for somebody to write.

    Raises:
        CMEError: (or ``error``) the file is missing, is no plain file, cannot be read or is larger.
    """
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise error(f"{path} cannot be read: it is no plain file.")
            data = file.read(largest + 1)
    except FileNotFoundError:
        raise error(f"{path} does not exist.") from None
    except (OSError, ValueError) as problem:
        raise error(f"{path} cannot be read: {getattr(problem, 'strerror', None) or problem}.") from problem
    if len(data) > largest:
        raise error(f"{path} has more than {largest:,} bytes, the most that are read. It is not a file of this kind.")
    return data


def has_surrogate(text: str) -> bool:
    """Whether a text holds half of a character (a lone surrogate), which can be neither written nor printed."""
    if text.isascii():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
