"""A synthetic vocabulary and pools of phrases, from which array operations generate millions of texts.

No word comes from a public dataset. All words except a few function words are sequences of syllables. Names are numbers that are
spelled as syllables, so rows with their own names are always different.
"""

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = ["POOL", "SENTENCE", "boilerplate", "join", "phrases", "sentence_phrases", "spell"]

POOL = 8192
"""Maximum number of phrases of one kind. A sequence of 13 words contains at least three phrases, so two texts rarely share a
sequence by chance."""

SENTENCE = ("when", "who", "does", "what", "where.")
"""Kinds of the phrases in a sentence of about 16 words."""

_ONSETS, _VOWELS, _CODAS = "bdfghjklmnprst", "aeiou", "klmnrst"
_KINDS = (
    5  # The words of a class are split into disjoint sets, so phrases of different kinds share only function words.
)


def join(*parts: "str | pa.Array") -> "pa.Array":
    """Join texts row by row.

    Args:
        parts: Arrays of equal length, and strings that are the same in every row.
    """
    import pyarrow.compute as pc

    return pc.binary_join_element_wise(*parts, "")


def spell(numbers: "NDArray[np.int64]") -> "pa.Array":
    """Spell numbers below 70^5 as names of five syllables, such as ``Bakudimofa``. Different numbers have different names."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    syllables = pa.array([onset + vowel for onset in _ONSETS for vowel in _VOWELS])
    digits = [numbers // len(syllables) ** place % len(syllables) for place in reversed(range(5))]
    return pc.utf8_capitalize(join(*(syllables.take(pa.array(digit.astype(np.int64))) for digit in digits)))


@lru_cache(maxsize=1)
def phrases() -> "dict[str, pa.Array]":
    """Return the phrases by kind. All phrases are different.

    ``who`` and ``what`` have 3 words, ``does`` and ``thing`` 2, ``where`` 4, ``when`` 4 with a capital and a comma, and ``word``
    1. ``where.`` is ``where`` with a full stop.
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
    """Return the phrases of all kinds of `SENTENCE` in one array, with the first index and the number of each kind."""
    import numpy as np
    import pyarrow as pa

    pools = [phrases()[kind] for kind in SENTENCE]
    sizes = np.array([len(pool) for pool in pools])
    return pa.concat_arrays(pools), np.cumsum(sizes) - sizes, sizes


@lru_cache(maxsize=1)
def boilerplate() -> "pa.Array":
    """Return twenty sentences of 17 words with which many articles end, as in real corpora."""
    import numpy as np

    pools, rng = phrases(), np.random.default_rng(1)

    def some(kind: str) -> "pa.Array":
        return pools[kind].take(rng.choice(len(pools[kind]), 20, replace=False))

    return join("All rights to ", some("thing"), " ", some("what"), " ", some("where"), " ", some("who"), " reserved.")


def _some(words: "tuple[NDArray[np.str_] | tuple[str, ...], ...]", rng: "np.random.Generator") -> "NDArray[np.str_]":
    """Return up to `POOL` different combinations of one word of each class, in random order."""
    import numpy as np

    sizes = [len(some) for some in words]
    total = int(np.prod(sizes))
    places = np.unravel_index(rng.choice(total, min(POOL, total), replace=False), sizes)
    pool = np.asarray(words[0])[places[0]]
    for some, place in zip(words[1:], places[1:], strict=True):
        pool = np.char.add(np.char.add(pool, " "), np.asarray(some)[place])
    return pool
