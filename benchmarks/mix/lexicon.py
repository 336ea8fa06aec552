"""An invented vocabulary and pools of phrases, from which millions of texts are put together with array operations.

No word of it is from a public dataset: all but a few function words are syllables in a row. Names are spelled numbers,
so no two rows that have a name of their own are equal.
"""

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = ["POOL", "SENTENCE", "boilerplate", "join", "phrases", "sentence_phrases", "spell"]

POOL = 8192
"""Most phrases of one kind. A run of 13 words holds three of them at least, so texts hardly ever share one by chance."""

SENTENCE = ("when", "who", "does", "what", "where.")
"""Kinds of phrases that make a sentence of about 16 words."""

_ONSETS, _VOWELS, _CODAS = "bdfghjklmnprst", "aeiou", "klmnrst"
_KINDS = 5  # words of one class are cut into disjoint lots, so phrases of two kinds share function words at most


def join(*parts: "str | pa.Array") -> "pa.Array":
    """Join texts row by row.

    Args:
        parts: arrays of equal length, and strings that are the same in every row.
    """
    import pyarrow.compute as pc

    return pc.binary_join_element_wise(*parts, "")


def spell(numbers: "NDArray[np.int64]") -> "pa.Array":
    """Numbers below 70^5 → names of five syllables, such as ``Bakudimofa``; different numbers, different names."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    syllables = pa.array([onset + vowel for onset in _ONSETS for vowel in _VOWELS])
    digits = [numbers // len(syllables) ** place % len(syllables) for place in reversed(range(5))]
    return pc.utf8_capitalize(join(*(syllables.take(pa.array(digit.astype(np.int64))) for digit in digits)))


@lru_cache(maxsize=1)
def phrases() -> "dict[str, pa.Array]":
    """Phrases by kind, all different.

    ``who`` and ``what`` have 3 words, ``does`` and ``thing`` 2, ``where`` 4, ``when`` 4 with a capital and a comma,
    ``word`` 1; ``where.`` ends a sentence.
    """
    import numpy as np
    import pyarrow as pa

    rng = np.random.default_rng(0)
    closed = [a + b + c for a in _ONSETS for b in _VOWELS for c in _CODAS]
    short, long = rng.permutation(closed), [a + b for a in closed for b in closed]
    nouns = np.array(long)[rng.choice(len(long), _KINDS * 2000, replace=False)].reshape(_KINDS, -1)
    adjectives = short[: _KINDS * 60].reshape(_KINDS, -1)
    verbs, adverbs = short[_KINDS * 60 :], np.char.add(short[:120], "ly")
    lots = {
        "who": (("the", "a", "one", "another"), adjectives[0], nouns[0]),
        "does": (adverbs, np.char.add(verbs, "ed")),
        "what": (("every", "no", "some", "any"), adjectives[1], nouns[1]),
        "where": (("near", "in", "behind", "under", "above"), ("his", "her", "their", "our"), adjectives[2], nouns[2]),
        "when": (("After", "Before", "During", "Since"), ("this", "that"), adjectives[3], np.char.add(nouns[3], ",")),
        "thing": (adjectives[4], nouns[4]),
        "word": (nouns[4],),
    }
    pools = {kind: _some(words, rng) for kind, words in lots.items()}
    return {kind: pa.array(pool) for kind, pool in pools.items()} | {"where.": join(pa.array(pools["where"]), ".")}


@lru_cache(maxsize=1)
def sentence_phrases() -> "tuple[pa.Array, NDArray[np.int64], NDArray[np.int64]]":
    """Phrases of the kinds of `SENTENCE`, one kind after the other; where each kind starts, and how many it has."""
    import numpy as np
    import pyarrow as pa

    pools = [phrases()[kind] for kind in SENTENCE]
    sizes = np.array([len(pool) for pool in pools])
    return pa.concat_arrays(pools), np.cumsum(sizes) - sizes, sizes


@lru_cache(maxsize=1)
def boilerplate() -> "pa.Array":
    """Twenty sentences of 17 words that many articles end with, as articles do."""
    import numpy as np

    pools, rng = phrases(), np.random.default_rng(1)

    def some(kind: str) -> "pa.Array":
        return pools[kind].take(rng.choice(len(pools[kind]), 20, replace=False))

    return join("All rights to ", some("thing"), " ", some("what"), " ", some("where"), " ", some("who"), " reserved.")


def _some(words: "tuple[NDArray[np.str_] | tuple[str, ...], ...]", rng: "np.random.Generator") -> "NDArray[np.str_]":
    """Different combinations of one word of each, in random order: `POOL` of them, or all there are."""
    import numpy as np

    sizes = [len(some) for some in words]
    total = int(np.prod(sizes))
    places = np.unravel_index(rng.choice(total, min(POOL, total), replace=False), sizes)
    pool = np.asarray(words[0])[places[0]]
    for some, place in zip(words[1:], places[1:], strict=True):
        pool = np.char.add(np.char.add(pool, " "), np.asarray(some)[place])
    return pool
