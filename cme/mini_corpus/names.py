"""Names made from syllables. The first sound of a name determines its pool, so the pools share no name."""

__all__ = ["GIVEN", "MATERIALS", "PEOPLE", "POOLS", "ROOTS", "given", "material", "person", "root"]

# No onset of one pool followed by a vowel is an onset of another pool, so the pools are disjoint by construction.
_ONSETS = {
    "train": ("b", "d", "g", "k", "m", "s", "th", "br", "dr", "gl", "st", "tr"),
    "eval": ("f", "h", "l", "n", "p", "r", "t", "v", "w", "cl", "gr", "pr"),
    "shared": ("j", "y", "z", "kr", "fl", "bl", "pl", "sk", "sp", "sw", "vr", "sn"),
}
_VOWELS = "aeiou"


def _syllables(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_MIDDLES = tuple(a + v + z for a in "lrndmvb" for v in _VOWELS for z in "nlrmsd")
_GIVEN = _syllables("len ra vin dor mi sa nel ric bo lin mar ny ko das wen ri lo tam vo zan")
_FAMILY = _syllables(
    "rrin lver nstow mbel ndry lkin rvane ddow mmer nford lsey rden nning lwick rrow ntry lmar rston "
    "nder vell rkby mond lden rwell"
)
_FIRSTS = len(_ONSETS["train"]) * len(_VOWELS)

# Syllables can spell a real place, person, brand or faith, or something unpleasant. No syllable ends in "g", so these
# words stay unique with their last letter changed to it.
_TABOO = frozenset(
    _syllables(
        "biden boner denis devon dover femin gazan gonad gonor hamas haram herod homos james jones kabul koran kuran laden "
        "lenin loren milan mobil moron nader nobel nudes paris pedos penal penis peron pisa pubes rabin redis roman sadam "
        "salam salem semen semin siri sodom sony spenis stalin sudan sweden tamil thames timor truman tudor tumor tunis vedas "
        "visa wales yemen yid"
    )
)

POOLS = tuple(_ONSETS)
"""Pools ``train`` and ``eval`` for texts, and ``shared`` for closed-book facts, which both splits use."""
ROOTS = _FIRSTS * len(_MIDDLES)
GIVEN = _FIRSTS * len(_GIVEN)
PEOPLE = GIVEN * _FIRSTS * len(_FAMILY)
MATERIALS = _FIRSTS * 6


def _first(index: int, pool: str) -> str:
    onset, vowel = divmod(index, len(_VOWELS))
    return _ONSETS[pool][onset] + _VOWELS[vowel]


def _spelled(word: str) -> str:
    return f"{word[:-1]}g" if word in _TABOO else word


def root(index: int, pool: str) -> str:
    """Return the root of the name of a place, animal or festival. ``index`` is below ``ROOTS``."""
    first, middle = divmod(index, len(_MIDDLES))
    return _spelled(_first(first, pool) + _MIDDLES[middle])


def material(index: int, pool: str) -> str:
    """Return the root of the name of a material. ``index`` is below ``MATERIALS``."""
    first, end = divmod(index, 6)
    return _spelled(_first(first, pool) + "nlrmsd"[end])


def given(index: int, pool: str) -> str:
    """Return a given name. ``index`` is below ``GIVEN``."""
    end, first = divmod(index, _FIRSTS)
    return _spelled(_first(first, pool) + _GIVEN[end]).capitalize()


def person(index: int, pool: str) -> tuple[str, str]:
    """Return a given name and a family name. ``index`` is below ``PEOPLE``."""
    front, back = index % GIVEN, index // GIVEN
    end, first = divmod(back, _FIRSTS)
    return given(front, pool), (_first(first, pool) + _FAMILY[end]).capitalize()
