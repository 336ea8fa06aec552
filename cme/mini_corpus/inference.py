"""Premise and hypothesis about a thing of the world: entailed, open or contradicted. Shared by ANLI, MNLI and RTE.

A thing has one value of each relation, so any other value is false. Hard premises also tell of another thing, in the same
relations: what is false or open of the first is often true of that one.
"""

import random
from dataclasses import dataclass

from cme.mini_corpus.draw import Slot
from cme.mini_corpus.entities import Entity, another, some
from cme.mini_corpus.passages import claim, passage, sentence
from cme.mini_corpus.relations import Relation

__all__ = ["CONTRADICTED", "ENTAILED", "OPEN", "Signs", "pair"]

ENTAILED, OPEN, CONTRADICTED = range(3)


@dataclass(frozen=True)
class Signs:
    """How often an easy hypothesis shows its label by itself, as people deny to contradict and guess to stay neutral.

    Attributes:
        denied: share of denials among the hypotheses that are entailed, open and contradicted.
        guessed: share of open hypotheses that are about a wish, a plan or an opinion.
    """

    denied: tuple[float, float, float]
    guessed: float


_NO_SIGNS = Signs((1 / 3, 1 / 3, 1 / 3), 0.0)


def pair(slot: Slot, thing: Entity, label: int, signs: Signs, *, told: int = 3, others: int = 0) -> tuple[str, str]:
    """Premise and hypothesis for a label.

    Args:
        slot: the row; a hard one shows no sign and has at least one other thing in its premise.
        thing: what both are about.
        label: ``ENTAILED``, ``OPEN`` or ``CONTRADICTED``.
        signs: what an easy hypothesis gives away.
        told: facts that the premise tells about the thing.
        others: other things of the same kind in the premise.
    """
    rng = slot.rng
    relations = rng.sample(thing.kind.relations, told + 1)
    known, untold = relations[:told], relations[told]
    friends, matters = _friends(slot, thing, relations, told=told, others=others)
    stories = [(thing, known), *zip(friends, matters, strict=True)]
    if slot.hard:
        signs = _NO_SIGNS
        rng.shuffle(stories)
    premise, _ = passage(stories, rng)
    relation = untold if label == OPEN else rng.choice(known)
    denied = rng.random() < signs.denied[label]
    if slot.hard:
        own = label != OPEN and (label == ENTAILED) != denied
        value = thing.values[relation.key] if own else _near(thing, relation, friends, rng)
    else:
        own = (label == ENTAILED) != denied
        value = thing.values[relation.key] if own else thing.other(relation, rng)
    said = claim(relation, value, rng, denied=denied)
    if label == OPEN and rng.random() < signs.guessed:
        said = rng.choice(thing.kind.rumours).phrase
    return premise, sentence(f"{thing.name} {said}")


def _friends(
    slot: Slot, thing: Entity, relations: list[Relation], *, told: int, others: int
) -> tuple[list[Entity], list[list[Relation]]]:
    """Other things of the premise and what is told of each."""
    friends, matters = [], []
    for _ in range(max(1, others) if slot.hard else others):
        if slot.hard:
            friends.append(another([thing], slot.pool, slot.seed, slot.rng))
            matters.append(slot.rng.sample(relations, len(relations)))
        else:
            friends.append(some(thing.kind.key, slot.pool, slot.seed, slot.rng))
            matters.append(slot.rng.sample(friends[-1].kind.relations, told - 1))
    return friends, matters


def _near(thing: Entity, relation: Relation, friends: list[Entity], rng: random.Random) -> str:
    """A value that another thing of the premise has, and this one has not."""
    values = [friend.values[relation.key] for friend in friends]
    return next((value for value in values if value != thing.values[relation.key]), thing.other(relation, rng))
