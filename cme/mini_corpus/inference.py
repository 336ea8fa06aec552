"""Premises and hypotheses about an entity: entailed, open or contradicted. Shared by ANLI, MNLI and RTE.

An entity has one value of each relation, so any other value is false. Hard premises also describe another entity in the same
relations. A statement that is false or open for the first entity is often true for the other.

Graded rows of level 2 are easy rows whose hypotheses reveal their label less often.
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
    """How often an easy hypothesis reveals its label by itself. Writers tend to negate in order to contradict.

    Attributes:
        denied: share of denials among the hypotheses that are entailed, open and contradicted.
        guessed: share of open hypotheses that are about a wish, a plan or an opinion.
    """

    denied: tuple[float, float, float]
    guessed: float


_NO_SIGNS = Signs((1 / 3, 1 / 3, 1 / 3), 0.0)
_FEW_SIGNS = Signs((0.2, 0.2, 0.6), 0.5)


def pair(slot: Slot, thing: Entity, label: int, signs: Signs, *, facts: int = 3, others: int = 0) -> tuple[str, str]:
    """Return a premise and a hypothesis for a label.

    Args:
        slot: the row. A hard row has no signs, and at least one other entity in its premise. A row of level 2 has few signs.
        thing: the entity of both sentences.
        label: ``ENTAILED``, ``OPEN`` or ``CONTRADICTED``.
        signs: how often an easy hypothesis reveals its label.
        facts: number of facts about the entity in the premise.
        others: number of other entities of the same kind in the premise.
    """
    rng = slot.rng
    relations = rng.sample(thing.kind.relations, facts + 1)
    stated, unstated = relations[:facts], relations[facts]
    friends, matters = _friends(slot, thing, relations, facts=facts, others=others)
    stories = [(thing, stated), *zip(friends, matters, strict=True)]
    if slot.hard:
        signs = _NO_SIGNS
        rng.shuffle(stories)
    elif slot.level == 2:
        signs = _FEW_SIGNS
    premise, _ = passage(stories, rng)
    relation = unstated if label == OPEN else rng.choice(stated)
    denied = rng.random() < signs.denied[label]
    if slot.hard:
        own = label != OPEN and (label == ENTAILED) != denied
        value = thing.values[relation.key] if own else _near(thing, relation, friends, rng)
    else:
        own = (label == ENTAILED) != denied
        value = thing.values[relation.key] if own else thing.other(relation, rng)
    phrase = claim(relation, value, rng, denied=denied)
    if label == OPEN and rng.random() < signs.guessed:
        phrase = rng.choice(thing.kind.rumours).phrase
    return premise, sentence(f"{thing.name} {phrase}")


def _friends(
    slot: Slot, thing: Entity, relations: list[Relation], *, facts: int, others: int
) -> tuple[list[Entity], list[list[Relation]]]:
    """Return the other entities of the premise, each with its relations."""
    friends, matters = [], []
    for _ in range(max(1, others) if slot.hard else others):
        if slot.hard:
            friends.append(another([thing], slot.pool, slot.seed, slot.rng))
            matters.append(slot.rng.sample(relations, len(relations)))
        else:
            friends.append(some(thing.kind.key, slot.pool, slot.seed, slot.rng))
            matters.append(slot.rng.sample(friends[-1].kind.relations, facts - 1))
    return friends, matters


def _near(thing: Entity, relation: Relation, friends: list[Entity], rng: random.Random) -> str:
    """Return a value that another entity of the premise has and this one lacks."""
    values = [friend.values[relation.key] for friend in friends]
    return next((value for value in values if value != thing.values[relation.key]), thing.other(relation, rng))
