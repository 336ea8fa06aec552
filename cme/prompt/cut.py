"""Cutting of long inputs. Only the end of the long text is cut, and never the instruction, options, question or answer."""

import re
from collections.abc import Callable
from dataclasses import replace

from cme.data.example import Example

__all__ = ["count_words", "cut_to_tokens", "cut_words"]

_WORD = re.compile(r"\S+")
_SPACES = b"\t\n\v\f\r\x1c\x1d\x1e\x1f "  # ASCII white space for str.split
_SPACE_OR_NOT = bytes(ord(" ") if code in _SPACES else ord("x") for code in range(256))


def count_words(text: str) -> int:
    """Return the number of words of a text, as ``len(text.split())`` does."""
    if not text.isascii():
        return len(text.split())
    # Without a list of all words, long texts take less than half of the time.
    marked = text.encode().translate(_SPACE_OR_NOT)
    return marked.count(b" x") + marked.startswith(b"x")


def cut_words(example: Example, most: int) -> Example:
    """Keep the first ``most`` words of the long text of an example.

    Args:
        example: the example.
        most: maximum number of words.

    Returns:
        A shorter example, or the same one if its long text is short enough.
    """
    if example.long is None:
        return example
    start, end = example.long
    if end - start < 2 * most:  # too few characters for more words than allowed
        return example
    words = example.input[start:end].split(None, most)
    if len(words) <= most:
        return example
    kept = start + len(example.input[start : end - len(words[most])].rstrip())
    return replace(example, input=example.input[:kept] + example.input[end:], long=(start, kept))


def cut_to_tokens(example: Example, fits: Callable[[Example], bool]) -> Example | None:
    """Cut the long text until the example fits, and keep as many words as possible (bisection).

    Args:
        example: the example, which is already cut to the word limit of its dataset.
        fits: function that returns whether the tokens of an example fit the model.

    Returns:
        The example itself if it fits, a shorter one, or None if it does not fit even with one word of the long text.
    """
    if fits(example):
        return example
    if example.long is None:
        return None
    low, high = 1, len(_WORD.findall(example.input, *example.long))
    best: Example | None = None
    while low <= high:
        middle = (low + high) // 2
        candidate = cut_words(example, middle)
        if fits(candidate):
            best, low = candidate, middle + 1
        else:
            high = middle - 1
    return best
