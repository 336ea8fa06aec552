"""Closed-book questions. Evaluation asks for the core facts in wordings that training never uses."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cme.mini_corpus import names
from cme.mini_corpus.draw import Slot, permute

__all__ = ["CORE", "Fact", "Topic", "recall"]

CORE = 48
"""Number of core facts, which evaluation uses. Training starts with them and continues with others."""


@dataclass(frozen=True)
class Topic:
    """A topic of factual questions.

    Attributes:
        key: name of the topic.
        rules: answers by the last word of a name.
        mentions: ways to mention the entity, with ``{n}`` for its name.
        training: training questions, with ``{x}`` for a mention. All topics of a dataset have the same number.
        held_out: evaluation questions, in the same form.
    """

    key: str
    rules: Mapping[str, str]
    mentions: tuple[str, ...]
    training: tuple[str, ...]
    held_out: tuple[str, ...]


@dataclass(frozen=True)
class Fact:
    """The content of a row: topic, name of the entity, answer by the rule, and question."""

    topic: Topic
    name: str
    value: str
    question: str


def recall(slot: Slot, topics: Sequence[Topic], *, key: str, spell: Callable[[str], str]) -> Fact:
    """Return the fact of a row.

    In a hard corpus, names have no last word, so only memory gives the answer.

    Args:
        slot: the row.
        topics: topics, which alternate. A topic that is given twice is used twice as often.
        key: name of the dataset's own set of entities.
        spell: function that spells names as the dataset does.
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
    subject = topic.mentions[mention].replace("{n}", name)
    question = bodies[wording].replace("{x}", subject)
    return Fact(topic, name, value, question)
