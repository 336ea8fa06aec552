"""Hashes of words and of runs of words, for millions of texts at a time: array operations on the bytes of all texts.

A word's hash is a polynomial of its bytes modulo 2^64, taken from running sums, and mixed afterwards; a run's hash is one of
its words' hashes, made alike. Texts are in canonical form: words are what stands between single spaces.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["distinct_words", "runs", "words"]

_BYTE_BASE = 0x9E3779B97F4A7C15  # odd, so powers have inverses modulo 2^64
_WORD_BASE = 0xC2B2AE3D27D4EB4F
_SPACE, _BREAK = 32, 10
_MOST_BYTES = 8_000_000


def words(texts: Sequence[str]) -> "tuple[NDArray[np.uint64], NDArray[np.int64]]":
    """Hash of every word, and the number of its text, in order.

    Args:
        texts: in canonical form (no line breaks, no double spaces).
    """
    import numpy as np

    hashes, owners, start = [], [], 0
    for chunk in _chunks(texts):
        values, owner = _words(chunk)
        hashes.append(values)
        owners.append(owner + start)
        start += len(chunk)
    if not hashes:
        return np.empty(0, np.uint64), np.empty(0, np.int64)
    return np.concatenate(hashes), np.concatenate(owners)


def runs(
    hashes: "NDArray[np.uint64]", owners: "NDArray[np.int64]", length: int
) -> "tuple[NDArray[np.uint64], NDArray[np.int64]]":
    """Hash of every run of ``length`` words of one text, and the number of its text, in order.

    Args:
        hashes: of all words.
        owners: number of each word's text, ascending.
        length: words per run.
    """
    import numpy as np

    if len(hashes) < length:
        return hashes[:0], owners[:0]
    power, inverse = _powers(_WORD_BASE, len(hashes))
    sums = np.cumsum(hashes * power[: len(hashes)])
    spans = sums[length - 1 :].copy()
    spans[1:] -= sums[:-length]
    spans *= inverse[: len(spans)]
    whole = owners[: len(spans)] == owners[length - 1 :]
    return _mixed(spans[whole]), owners[: len(spans)][whole]


def distinct_words(
    hashes: "NDArray[np.uint64]", owners: "NDArray[np.int64]"
) -> "tuple[NDArray[np.uint64], NDArray[np.int64]]":
    """Each text's words once, ordered by text and hash."""
    import numpy as np

    order = np.lexsort((hashes, owners))
    hashes, owners = hashes[order], owners[order]
    first = np.ones(len(hashes), dtype=bool)
    first[1:] = (hashes[1:] != hashes[:-1]) | (owners[1:] != owners[:-1])
    return hashes[first], owners[first]


def _chunks(texts: Sequence[str]) -> "list[Sequence[str]]":
    """Runs of texts of a few million bytes, so that the arrays stay small."""
    chunks, start, size = [], 0, 0
    for number, text in enumerate(texts):
        size += len(text)
        if size >= _MOST_BYTES:
            chunks.append(texts[start : number + 1])
            start, size = number + 1, 0
    if start < len(texts):
        chunks.append(texts[start:])
    return chunks


def _words(texts: Sequence[str]) -> "tuple[NDArray[np.uint64], NDArray[np.int64]]":
    import numpy as np

    data = np.frombuffer("\n".join(texts).encode("utf-8", "surrogatepass"), dtype=np.uint8)
    breaks = data == _BREAK
    gap = (data == _SPACE) | breaks
    edges = np.flatnonzero(np.diff(np.concatenate(([True], gap, [True])).view(np.int8)))
    starts, ends = edges[::2], edges[1::2]
    power, inverse = _powers(_BYTE_BASE, len(data) + 1)
    sums = np.zeros(len(data) + 1, dtype=np.uint64)
    # Bytes count from one, or a leading zero byte would hash like none.
    np.cumsum((data.astype(np.uint64) + np.uint64(1)) * power[: len(data)], out=sums[1:])
    hashes = (sums[ends] - sums[starts]) * inverse[starts]
    first = np.searchsorted(starts, np.concatenate(([0], np.flatnonzero(breaks), [len(data)])))
    return _mixed(hashes), np.repeat(np.arange(len(texts)), np.diff(first))


@lru_cache(maxsize=64)
def _table(base: int, size: int) -> "NDArray[np.uint64]":
    import numpy as np

    table = np.full(size, base, dtype=np.uint64)
    table[0] = 1
    return np.cumprod(table)


def _powers(base: int, size: int) -> "tuple[NDArray[np.uint64], NDArray[np.uint64]]":
    """Powers 0, 1, … of the base and of its inverse modulo 2^64, at least ``size`` of them."""
    room = 1 << max(16, (size - 1).bit_length())
    return _table(base, room), _table(pow(base, -1, 1 << 64), room)


def _mixed(hashes: "NDArray[np.uint64]") -> "NDArray[np.uint64]":
    """SplitMix64's finaliser: neighbouring values become independent. Works in place."""
    import numpy as np

    hashes ^= hashes >> np.uint64(30)
    hashes *= np.uint64(0xBF58476D1CE4E5B9)
    hashes ^= hashes >> np.uint64(27)
    hashes *= np.uint64(0x94D049BB133111EB)
    hashes ^= hashes >> np.uint64(31)
    return hashes
