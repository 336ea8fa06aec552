"""Sentences and passages about entities, with the position of every fact in the text."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from cme.mini_corpus.entities import Entity
from cme.mini_corpus.relations import Relation

__all__ = ["Fact", "ask", "chatter", "claim", "passage", "sentence"]

# With more words between two names, training and evaluation texts could share a 13-gram without a name.
_LONGEST = 9


@dataclass(frozen=True)
class Fact:
    """A fact in a passage: its entity, relation, value, and the start of the value in characters."""

    entity: Entity
    relation: Relation
    value: str
    start: int


def sentence(text: str) -> str:
    """Return ``text`` with a capital letter and a full stop."""
    return f"{text[0].upper()}{text[1:]}."


def claim(relation: Relation, value: str, rng: random.Random, *, denied: bool = False) -> str:
    """Return a verb phrase that states or denies a value."""
    return (relation.denial if denied else rng.choice(relation.phrases)).replace("{v}", value)


def ask(relation: Relation, name: str, wording: int) -> str:
    """Return a question about ``name`` in one of the relation's wordings. ``wording`` can be any integer."""
    return relation.questions[wording % len(relation.questions)].replace("{x}", name)


def chatter(cast: Sequence[Entity], rng: random.Random) -> list[str]:
    """Return one sentence for every fact about the cast except their jobs, in random order."""
    sentences = [
        sentence(f"{thing.short} {claim(relation, thing.values[relation.key], rng)}")
        for thing in cast
        for relation in thing.kind.relations
        if relation.key != "job"
    ]
    rng.shuffle(sentences)
    return sentences


def passage(stories: Sequence[tuple[Entity, Sequence[Relation]]], rng: random.Random) -> tuple[str, list[Fact]]:
    """Write a passage about entities, one after the other.

    The first sentence about an entity states two facts if they fit, and each later sentence states one.

    Returns:
        The text and its facts in order, with exact offsets.
    """
    text, facts = "", []
    for subject, relations in stories:
        words = 0
        for number, relation in enumerate(relations):
            value, phrase = subject.values[relation.key], rng.choice(relation.phrases)
            length = phrase.count(" ") + value.count(" ") + 1
            if number == 1 and words + 1 + length <= _LONGEST:
                text = f"{text[:-1]} and "
            else:
                name = subject.short if number else subject.name
                text += f"{' ' if text else ''}{name[0].upper()}{name[1:]} "
            words = length
            facts.append(Fact(subject, relation, value, len(text) + phrase.index("{v}")))
            text += phrase.replace("{v}", value) + "."
    return text, facts
