"""Reads the bytes of a file up to a limit. Bytes are counted while reading, because the reported size can be wrong."""

import os
import stat
from pathlib import Path

from cme.errors import CMEError

__all__ = ["has_surrogate", "read_bounded"]


def read_bounded(path: Path, largest: int, error: type[CMEError] = CMEError) -> bytes:
    """Read a whole file of at most ``largest`` bytes.

    Named pipes and devices are refused, so reading never blocks.

    Args:
        path: the file.
        largest: maximum number of bytes.
        error: the class of error to raise.

    Raises:
        CMEError: (or ``error``) if the file is missing, is not a regular file, cannot be read, or is larger.
    """
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise error(f"{path} cannot be read: it is not a regular file.")
            data = file.read(largest + 1)
    except FileNotFoundError:
        raise error(f"{path} does not exist.") from None
    except (OSError, ValueError) as problem:
        raise error(f"{path} cannot be read: {getattr(problem, 'strerror', None) or problem}.") from problem
    if len(data) > largest:
        raise error(f"{path} has more than {largest:,} bytes, which is the limit. Check that it is the right file.")
    return data


def has_surrogate(text: str) -> bool:
    """Return whether a text contains a lone surrogate, which can be neither written nor printed."""
    if text.isascii():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
