"""WinoGrande: which person does the blank refer to?

Neighbouring rows are twins that differ in one word, and this word determines the answer.

In easy rows, the helper is always named first and is the first option, so the word alone determines the answer. In hard rows,
either person may be named first, the options have random order, and half of the twins negate the word.

Graded rows of level 1 tell few of the stories.
"""

from cme.mini_corpus import names
from cme.mini_corpus.draw import Row, Slot, permute, stream
from cme.mini_corpus.entities import some
from cme.mini_corpus.renderer import Renderer

__all__ = ["RENDERERS"]

# What the helper does, what the other person does, adjectives for the helper, and adjectives for the other person.
_STORIES = (
    ("carried the bags of {n}", "asked {h} to carry the bags", ("strong", "fit"), ("weak", "tired")),
    ("lent some money to {n}", "asked {h} for some money", ("rich", "wealthy"), ("poor", "broke")),
    ("explained the sums to {n}", "asked {h} to explain the sums", ("clever", "smart"), ("confused", "puzzled")),
    ("held the hand of {n} in the cave", "held on to {h} in the cave", ("brave", "fearless"), ("afraid", "scared")),
    ("cheered up {n}", "went to {h} for a good laugh", ("happy", "cheerful"), ("sad", "unhappy")),
    ("took care of {n}", "went to {h} for help", ("healthy", "well"), ("sick", "ill")),
    ("repaired the bike of {n}", "took a broken bike to {h}", ("skilful", "handy"), ("clumsy", "helpless")),
    ("showed {n} the way home", "asked {h} for the way home", ("sure of the way", "a good guide"), ("lost", "astray")),
)
_FEW = 2
_PAIRS = names.GIVEN * (names.GIVEN - 1)


def _people(slot: Slot, twins: int) -> tuple[str, str]:
    """Return two different given names. No other twins of the pool have the same two names in the same order."""
    first, second = divmod(permute(twins, _PAIRS, seed=slot.seed, key=f"winogrande/{slot.pool}"), names.GIVEN - 1)
    return names.given(first, slot.pool), names.given(second + (second >= first), slot.pool)


def _make(slot: Slot) -> Row:
    twins, turn = divmod(slot.serial, 2)
    rng = stream(slot.seed, slot.folder, slot.split, "twins", twins)
    helper, needy = _people(slot, twins)
    helps, asks, able, unable = rng.choice(_STORIES[:_FEW] if slot.level == 1 else _STORIES)
    asking, denied, flipped = (slot.hard and rng.random() < 0.5 for _ in range(3))
    words = (rng.choice(able), rng.choice(unable))
    # The words are assigned to the twins at random, so that the row number does not determine the answer.
    word = turn ^ rng.randrange(2)
    event = f"{needy} {asks}" if asking else f"{helper} {helps}"
    sentence = f"{event} because _ was {'not ' if denied else ''}{words[word]}".format(h=helper, n=needy)
    if slot.long:
        sentence = f"In {some('town', slot.pool, slot.seed, rng).name}, {sentence}"
    options = (needy, helper) if flipped else (helper, needy)
    gold = word ^ denied ^ flipped
    return {"sentence": f"{sentence}.", "option1": options[0], "option2": options[1], "answer": "12"[gold]}


def _identify(slot: Slot) -> Row:
    return {}


RENDERERS = (
    Renderer(
        folder="winogrande",
        dataset="winogrande",
        sizes={"train": 200_000, "validation": 1_200},
        make=_make,
        identify=_identify,
        texts=("sentence",),
        leaks={"train": "validation"},
        grades=(1, 1, 1, 2, 2, 3),
        practice=(1, 1, 1, 1, 1, 1, 1, 1, 2, 3),
        together=2,
    ),
)
