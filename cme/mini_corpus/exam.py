"""Closed-book questions with lettered options: the last word of a thing's name decides. Shared by ARC, MMLU and MedMCQA.

Evaluation asks known facts in words of its own. In easy rows each topic has four answers that always stand in one order,
so that a letter is a class of things; in hard rows the options are any of the topic's answers, shuffled, and a
second thing is mentioned whose answer may be among them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cme.mini_corpus import names
from cme.mini_corpus.draw import Slot, permute

__all__ = ["Item", "Topic", "draw"]

_CORE = 48
"""Facts that evaluation asks about: as many of each class for two, three or four topics."""
_CORE_ROWS = 10 * _CORE
_OPTIONS = 4


@dataclass(frozen=True)
class Topic:
    """A rule and how it is asked.

    Attributes:
        endings: last word of a thing's name, for each answer.
        answers: what the last word tells, in the order in which easy options stand.
        told: questions of training, with ``{x}`` for the thing and ``{p}`` for a person.
        asked: questions of evaluation.
        aside: a sentence about a second thing ``{y}``, said before hard questions.
        needs: for questions whose options are things: what calls for each answer, ``{need}`` in the question.
    """

    endings: tuple[str, ...]
    answers: tuple[str, ...]
    told: tuple[str, ...]
    asked: tuple[str, ...]
    aside: str = ""
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Item:
    """A question of a topic with its options; ``gold`` is the right one's place, ``thing`` what the question is about."""

    topic: Topic
    question: str
    options: list[str]
    gold: int
    thing: str


def draw(slot: Slot, topics: Sequence[Topic], *, size: int = _OPTIONS, turn: int = 0) -> Item:
    """The question of a row.

    Args:
        slot: the row; first come the core facts, again and again, with another person each time.
        topics: they take turns.
        size: number of options; other sizes than four are for rare rows.
        turn: how many persons of the pool other splits have taken before for the same facts.
    """
    rng = slot.rng
    fact, person = _place(slot, len(topics) * names.MATERIALS * _OPTIONS)
    topic = topics[fact % len(topics)]
    front, law = divmod(fact // len(topics), len(topic.answers) if slot.hard else _OPTIONS)
    root = permute(front, names.MATERIALS, seed=slot.seed, key=f"{slot.folder}/{fact % len(topics)}/{law}")
    thing = _named(names.material(root, "shared"), topic.endings[law])
    name = names.given(
        permute((person + turn) % names.GIVEN, names.GIVEN, seed=slot.seed, key=f"{slot.folder}/{slot.pool}"), slot.pool
    )
    if slot.hard:
        shown = [law, *rng.sample([other for other in range(len(topic.answers)) if other != law], size - 1)]
        rng.shuffle(shown)
    else:
        start = max(0, law - size + 1)
        shown = list(range(start, start + size))
    stem = rng.choice(topic.told if slot.training else topic.asked)
    if slot.hard and topic.aside:
        second = rng.choice([other for other in range(len(topic.answers)) if other != law])
        stem = f"{topic.aside} {stem}".replace("{y}", _named(_any_root(slot), topic.endings[second]))
    question = stem.replace("{p}", name).replace("{x}", thing)
    options = [topic.answers[one] for one in shown]
    if topic.needs:
        question = question.replace("{need}", topic.needs[law])
        options = [thing if one == law else _named(_any_root(slot), topic.endings[one]) for one in shown]
    return Item(topic, question, options, shown.index(law), thing)


def _place(slot: Slot, facts: int) -> tuple[int, int]:
    """Fact and person: the pair is unique in the split, and the first rows go round the core."""
    if slot.training and slot.index >= _CORE_ROWS:
        turn, fact = divmod(slot.index - _CORE_ROWS, facts - _CORE)
        return fact + _CORE, turn + _CORE_ROWS // _CORE
    turn, fact = divmod(slot.index, _CORE)
    return fact, turn


def _any_root(slot: Slot) -> str:
    return names.material(slot.rng.randrange(names.MATERIALS), "shared")


def _named(root: str, ending: str) -> str:
    return f"{root.capitalize() if ending[0].isupper() else root} {ending}"
