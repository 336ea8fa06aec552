"""Text on its way to a terminal: what others wrote cannot command it."""

import contextlib
import re
import sys
from collections.abc import Iterator
from typing import Any, TextIO

__all__ = ["harmless", "safe_stdout"]

_COMMANDS = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 without tab and line feed, DEL, C1: a terminal obeys them
    r"\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069"  # these change the order in which a text is shown
    r"\ud800-\udfff]"  # halves of characters, as file names that are not UTF-8 have
)


def harmless(text: str) -> str:
    r"""A text with everything that a terminal would obey spelled out, such as ``\x1b``; tabs and line feeds stay."""
    return _COMMANDS.sub(lambda match: _spelled(match[0]), text)


@contextlib.contextmanager
def safe_stdout() -> Iterator[None]:
    """Make everything that is printed in the block `harmless`, and printable in whatever encoding standard output has."""
    with contextlib.redirect_stdout(_Harmless(sys.stdout)):
        yield


class _Harmless:
    """Standard output that obeys nobody.

    Args:
        stream: where the text goes.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text as `harmless` gives it."""
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        self._stream.write(harmless(text).encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)


def _spelled(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"
