"""Hashes of words and of n-grams, computed for millions of texts by array operations on their bytes.

The hash of a word is a polynomial of its bytes modulo 2^64, computed from running sums and then mixed. The hash of an n-gram is
the same polynomial of the hashes of its words. Texts are in canonical form, with single spaces between words.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["distinct_words", "runs", "words"]

_BYTE_BASE = 0x9E3779B97F4A7C15  # odd, so that powers have inverses modulo 2^64
_WORD_BASE = 0xC2B2AE3D27D4EB4F
_SPACE, _BREAK = 32, 10
_MOST_BYTES = 8_000_000


def words(texts: Sequence[str]) -> "tuple[NDArray[np.uint64], NDArray[np.int64]]":
    """Return the hash of every word and the number of its text, in order.

    Args:
        texts: texts in canonical form, without line breaks and double spaces.
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
    """Return the hash of every n-gram within a text and the number of its text, in order.

    Args:
        hashes: hashes of all words.
        owners: number of the text of each word, ascending.
        length: words per n-gram (n).
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
    """Return the distinct words of each text, sorted by text and hash."""
    import numpy as np

    order = np.lexsort((hashes, owners))
    hashes, owners = hashes[order], owners[order]
    first = np.ones(len(hashes), dtype=bool)
    first[1:] = (hashes[1:] != hashes[:-1]) | (owners[1:] != owners[:-1])
    return hashes[first], owners[first]


def _chunks(texts: Sequence[str]) -> "list[Sequence[str]]":
    """Split the texts into lists of a few million bytes, so that the arrays stay small."""
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
    # One is added to every byte. Without it, a leading zero byte would not change the hash.
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
    """Return at least ``size`` powers 0, 1, … of the base and of its inverse modulo 2^64."""
    count = 1 << max(16, (size - 1).bit_length())
    return _table(base, count), _table(pow(base, -1, 1 << 64), count)


def _mixed(hashes: "NDArray[np.uint64]") -> "NDArray[np.uint64]":
    """Apply the finaliser of SplitMix64 in place, which makes neighbouring values independent."""
    import numpy as np

    hashes ^= hashes >> np.uint64(30)
    hashes *= np.uint64(0xBF58476D1CE4E5B9)
    hashes ^= hashes >> np.uint64(27)
    hashes *= np.uint64(0x94D049BB133111EB)
    hashes ^= hashes >> np.uint64(31)
    return hashes
