"""Reviews of films and inns with a clear verdict.

In an easy review, all words agree with the verdict. In a hard review, praise and blame are equally frequent for both verdicts:
it quotes other people, denies words, and mentions a less important aspect.

In a graded review of level 2, one of the words is denied or outweighed. In one of level 3, two people disagree, and the writer
agrees with one of them by name.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from cme.mini_corpus.draw import Slot
from cme.mini_corpus.entities import Entity, another, main, some
from cme.mini_corpus.feelings import RARE, VERDICTS
from cme.mini_corpus.passages import sentence

__all__ = ["Matter", "Review", "review"]


@dataclass(frozen=True)
class Review:
    """A review.

    Attributes:
        label: 0 for blame, 1 for praise.
        people: the two people in the review.
        opening: the neutral first sentence.
        verdict: the sentences that express the judgement.
    """

    label: int
    people: list[Entity]
    opening: str
    verdict: list[str]


@dataclass(frozen=True)
class Matter:
    """What is reviewed.

    Attributes:
        openings: neutral first sentences with ``{x}`` for the thing and ``{p}`` for the person concerned.
        sides: what one can judge of it.
        ends: last sentences of an easy review, by label.
    """

    openings: tuple[str, ...]
    sides: tuple[str, ...]
    ends: tuple[tuple[str, ...], tuple[str, ...]]


# As in the whole corpus, every 13 consecutive words contain a name.
_SIDES = (
    "the {a} of {x} was {w} and the {b} was {v}",
    "in {x} I found the {a} {w} and the {b} {v}",
    "{x} was {w} and the {b} was {v}",
)
# {w} agrees with the verdict, {o} does not.
_MIXED_SIDES = (
    "the {a} of {x} was {o}, but the {b} was {w}",
    "the {b} of {x} was {w}, although the {a} was {o}",
)
_MIXED_ENDS = (
    "{q} called {x} {w} and I agree: it was not {o} at all",
    "{q} called {x} {o}, but I disagree: {x} was {w}",
    "for {x} {o} is the wrong word: {q} calls it {w}, and so do I",
)
# {w} agrees with the verdict, and {o}, which is denied or outweighed, does not.
_DENIED = (
    "the {a} of {x} was not {o} at all and the {b} was {w}",
    "{x} was anything but {o} and the {b} was {w}",
    "in {x} I found the {a} {w} and the {b} not {o}",
)
_OUTWEIGHED = (
    "the {a} of {x} was {w} and the {b} {v}. Only the {c} of {x} was {o}",
    "the {c} of {x} was {o}. All else was {w} and {v}",
)
# {q} has the opinion of the verdict and {r} the other one. Only their names tell whose opinion counts.
_OPINIONS = ("{q} called {x} {w}", "{q} found {x} {w}", "for {q} {x} was {w}")
_SIDINGS = ("I agree with {q}", "{q} is right", "I side with {q}", "I do not agree with {r}", "{r} is wrong")


def review(slot: Slot, matter: Matter, naming: str) -> Review:
    """Return the review of a row. Both labels are equally frequent.

    Args:
        slot: the row.
        matter: what is reviewed.
        naming: how the thing is called inside a sentence, with ``{}`` for its title.
    """
    hero = main(slot.serial, slot.pool, slot.seed, ("person",))
    people = [hero, another([hero], slot.pool, slot.seed, slot.rng)]
    name = naming.format(some("creature", slot.pool, slot.seed, slot.rng).title)
    label = slot.deal((0, 1))
    if slot.level == 2:
        opening, *verdict = _graded_sentences(matter, name, people, label, slot.rng)
    elif slot.level == 3:
        third = another(people, slot.pool, slot.seed, slot.rng)
        opening = sentence(slot.rng.choice(matter.openings).format(x=name, p=hero.name))
        verdict = _sided_sentences(name, people[1], third, label, slot.rng)
    else:
        opening, *verdict = _sentences(matter, name, people, label, slot.rng, hard=slot.hard)
    return Review(label, people, opening, verdict)


def _sided_sentences(name: str, right: Entity, wrong: Entity, label: int, rng: random.Random) -> list[str]:
    """Return the opposite opinions of two people in random order, and the sentence that agrees with one of them."""
    opinions = [
        rng.choice(_OPINIONS).format(q=person.name, x=name, w=rng.choice(VERDICTS[verdict]))
        for person, verdict in ((right, label), (wrong, 1 - label))
    ]
    rng.shuffle(opinions)
    siding = rng.choice(_SIDINGS).format(q=right.short, r=wrong.short)
    return [sentence(text) for text in (*opinions, siding)]


def _graded_sentences(matter: Matter, name: str, people: Sequence[Entity], label: int, rng: random.Random) -> list[str]:
    """Return an opening and a sentence with the verdict in rarer words, one of which is denied or outweighed."""
    first, second, third = rng.sample(matter.sides, 3)
    words, other = rng.sample(RARE[label], 2), rng.choice(RARE[1 - label])
    opening = rng.choice(matter.openings).format(x=name, p=people[0].name)
    form = rng.choice(rng.choice((_DENIED, _OUTWEIGHED)))
    verdict = form.format(a=first, b=second, c=third, x=name, w=words[0], v=words[1], o=other)
    return [sentence(text) for text in (opening, verdict)]


def _sentences(
    matter: Matter, name: str, people: Sequence[Entity], label: int, rng: random.Random, *, hard: bool
) -> list[str]:
    """Return an opening and the sentences with the verdict.

    Args:
        matter: what is reviewed.
        name: the thing's name inside a sentence.
        people: the person concerned, and another person with an opinion.
        label: 0 for blame, 1 for praise.
        rng: random generator of the row.
        hard: name praise and blame equally often.
    """
    first, second = rng.sample(matter.sides, 2)
    words, others = rng.sample(VERDICTS[label], 2), rng.sample(VERDICTS[1 - label], 2)
    opening = rng.choice(matter.openings).format(x=name, p=people[0].name)
    if hard:
        verdict = [
            rng.choice(_MIXED_SIDES).format(a=first, b=second, x=name, w=words[0], o=others[0]),
            rng.choice(_MIXED_ENDS).format(x=name, q=people[1].name, w=words[1], o=others[1]),
        ]
    else:
        verdict = [
            rng.choice(_SIDES).format(a=first, b=second, x=name, w=words[0], v=words[1]),
            rng.choice(matter.ends[label]).format(x=name, p=people[0].name),
        ]
    return [sentence(text) for text in (opening, *verdict)]
