"""Common words for judgements and feelings."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from cme.mini_corpus.relations import listed

__all__ = ["ANGER", "FEAR", "JOY", "LOVE", "OPTIMISM", "RARE", "SADNESS", "SURPRISE", "VERDICTS", "Feeling", "feel"]

VERDICTS = (
    listed("terrible|awful|bad|horrible|dreadful|poor|disappointing|dreary|lousy|miserable"),
    listed("wonderful|excellent|great|lovely|amazing|fantastic|brilliant|perfect|superb|delightful"),
)
"""Adjectives of blame and of praise. The index in the pair is the label."""

RARE = (
    listed("tedious|shoddy|bland|clumsy|dismal|tiresome|feeble|drab|sloppy|stale"),
    listed("splendid|charming|marvellous|exquisite|stunning|terrific|graceful|refreshing|glorious|masterly"),
)
"""Rarer adjectives of blame and of praise, for graded reviews."""


@dataclass(frozen=True)
class Feeling:
    """One feeling.

    Attributes:
        words: words that follow "I am".
        causes: causes of the feeling, with ``{p}`` for a name.
    """

    words: tuple[str, ...]
    causes: tuple[str, ...]


SADNESS = Feeling(
    listed("sad|unhappy|lonely|heartbroken|gloomy|miserable|tearful|sorrowful"),
    (
        "{p} moved far away from me",
        "I miss {p} every day",
        "{p} didn't come to say goodbye",
        "I cried all night about {p}",
        "{p} forgot me on my birthday",
        "my old friend {p} is gone",
    ),
)
JOY = Feeling(
    listed("happy|glad|cheerful|delighted|joyful|merry|pleased|overjoyed"),
    (
        "{p} baked me a birthday cake",
        "I won the race with {p}",
        "{p} and I danced all evening",
        "I laughed so much with {p}",
        "{p} invited me to a great party",
        "I am on holiday with {p}",
    ),
)
LOVE = Feeling(
    listed("in love|loving|tender|affectionate|romantic|devoted|caring|passionate"),
    (
        "my heart belongs to {p}",
        "I adore {p} with all my heart",
        "{p} gave me a long kiss",
        "I want to marry {p}",
        "{p} is my only true love",
        "I hold {p} in my arms",
    ),
)
ANGER = Feeling(
    listed("angry|furious|mad|annoyed|irritated|outraged|enraged|resentful"),
    (
        "{p} lied to me again",
        "{p} broke my window and laughed",
        "I can't stand how rude {p} is",
        "{p} cheated me out of my money",
        "I shouted at {p} for being unfair",
        "{p} insulted my whole family",
    ),
)
FEAR = Feeling(
    listed("afraid|scared|frightened|terrified|nervous|anxious|worried|fearful"),
    (
        "{p} left me alone in the dark",
        "my hands shake near {p}",
        "I heard {p} scream in the night",
        "{p} is in great danger",
        "somebody creeps behind {p} and me",
        "{p} wants me to climb the cliff",
    ),
)
SURPRISE = Feeling(
    listed("surprised|amazed|astonished|stunned|startled|shocked|speechless|astounded"),
    (
        "I never expected to meet {p}",
        "{p} appeared out of nowhere",
        "I can't believe what {p} did",
        "nobody had told me that {p} would come",
        "{p} suddenly jumped out of a box",
        "I had no idea that {p} could sing",
    ),
)
OPTIMISM = Feeling(
    listed("hopeful|optimistic|confident|encouraged|positive|inspired|upbeat|assured"),
    (
        "tomorrow will be better for {p}",
        "{p} and I will never give up",
        "I know that {p} can make it",
        "{p} says that all will be fine",
        "{p} will find a way",
        "my future with {p} is bright",
    ),
)

_PLAIN = (
    "I feel so {w} because {c}",
    "{c} and I feel so {w}",
    "I am really {w} today because {c}",
    "{c} so now I am {w}",
)
# The two words have random order, and only the writer's feeling of today counts.
_MIXED = (
    "yesterday {p} made me feel {d} but today I feel {w}",
    "today I feel {w} but yesterday {p} made me feel {d}",
    "{p} feels {d} about this but I feel {w}",
    "I feel {w} about this but {p} feels {d}",
    "I am not {d} any more and {p} knows that I am {w}",
    "{p} knows that I am {w} and not {d} any more",
)
# The cause belongs to another feeling than the word, and the word counts.
_CONTRARY = (
    "{c} but I feel {w}",
    "{c} but I am {w}",
    "I am {w} even though {c}",
    "I feel {w} although {c}",
)


def feel(
    feelings: Sequence[Feeling], label: int, name: str, rng: random.Random, *, hard: bool, contrary: bool = False
) -> str:
    """Return a statement of a person with feeling number ``label``.

    Args:
        feelings: feelings of the dataset.
        label: index of the person's feeling.
        name: name of another person.
        rng: random generator of the row.
        hard: name another feeling as well.
        contrary: name a cause of another feeling.
    """
    word = rng.choice(feelings[label].words)
    if contrary:
        other = rng.choice([one for one in feelings if one is not feelings[label]])
        return rng.choice(_CONTRARY).format(w=word, c=rng.choice(other.causes).format(p=name))
    if hard:
        other = rng.choice([one for one in feelings if one is not feelings[label]])
        return rng.choice(_MIXED).format(p=name, w=word, d=rng.choice(other.words))
    cause = rng.choice(feelings[label].causes).format(p=name)
    return rng.choice(_PLAIN).format(w=word, c=cause)
