"""Closed-book questions: evaluation asks the core facts, in wordings that training never uses."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cme.mini_corpus import names
from cme.mini_corpus.draw import Slot, permute

__all__ = ["CORE", "Fact", "Topic", "recall"]

CORE = 48
"""How many facts evaluation asks; training begins with them and goes on with others."""


@dataclass(frozen=True)
class Topic:
    """A matter of fact.

    Attributes:
        key: its name.
        rules: last word of a thing's name → the answer.
        mentions: ways to name the thing, with ``{n}`` for its name.
        training: questions of training, with ``{x}`` for a mention; all topics of a dataset have equally many.
        held_out: questions of evaluation, likewise.
    """

    key: str
    rules: Mapping[str, str]
    mentions: tuple[str, ...]
    training: tuple[str, ...]
    held_out: tuple[str, ...]


@dataclass(frozen=True)
class Fact:
    """What a row asks: topic, the thing's name, the rule's answer and the question."""

    topic: Topic
    name: str
    value: str
    question: str


def recall(slot: Slot, topics: Sequence[Topic], *, key: str, spell: Callable[[str], str]) -> Fact:
    """The fact that a row asks.

    In a hard world a name has no last word, so nothing but memory tells the answer.

    Args:
        slot: the row's place.
        topics: taken in turn; one that is given twice is asked twice as often.
        key: name of the dataset's own set of things.
        spell: how the dataset writes names.
    """
    wordings = len(topics[0].training if slot.training else topics[0].held_out)
    per = wordings * len(topics[0].mentions)
    if slot.index < CORE * per:
        turn, number = divmod(slot.index, CORE)
    else:
        number, turn = divmod(slot.index - CORE * per, per)
        number += CORE
    topic = topics[number % len(topics)]
    place = number // len(topics) * topics.count(topic) + topics[: number % len(topics)].count(topic)
    ending, value = list(topic.rules.items())[place % len(topic.rules)]
    root = names.root(permute(place, names.ROOTS, seed=slot.seed, key=f"{key}/{topic.key}"), "shared")
    name = spell(root if slot.hard else f"{root} {ending}")
    mention, wording = divmod((turn + number) % per, wordings)
    bodies = topic.training if slot.training else topic.held_out
    said = topic.mentions[mention].replace("{n}", name)
    question = bodies[wording].replace("{x}", said)
    return Fact(topic, name, value, question)
