"""Escapes control characters in printed text, so that untrusted text cannot control the terminal."""

import contextlib
import re
import sys
from collections.abc import Iterator
from typing import Any, TextIO

__all__ = ["harmless", "safe_stdout"]

_COMMANDS = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 without tab and line feed, DEL and C1, which control a terminal
    r"\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069"  # characters that change the order of displayed text
    r"\ud800-\udfff]"  # lone surrogates, which occur in file names that are not UTF-8
)


def harmless(text: str) -> str:
    r"""Return a text with escaped control characters, such as ``\x1b``. Tabs and line feeds are kept."""
    return _COMMANDS.sub(lambda match: _spelled(match[0]), text)


@contextlib.contextmanager
def safe_stdout() -> Iterator[None]:
    """Apply `harmless` to everything printed in the block, and escape characters that standard output cannot encode."""
    with contextlib.redirect_stdout(_Harmless(sys.stdout)):
        yield


class _Harmless:
    """A stream that escapes control characters.

    Args:
        stream: the stream to write to.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text after applying `harmless`."""
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        self._stream.write(harmless(text).encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write several texts after applying `harmless`."""
        for line in lines:
            self.write(line)


def _spelled(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"
