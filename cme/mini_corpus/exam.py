"""Closed-book questions with lettered options, for ARC, MMLU and MedMCQA. The last word of a name determines the answer.

Evaluation uses known facts in other wordings. In easy rows, each topic has four answers in a fixed order, so each letter is a
class. In hard rows, the options are shuffled answers of the topic, and the question mentions a second entity whose answer may
be among them.

Graded rows of levels 1 and 2 ask which of four elements something belongs to. The options of a topic have the order of
`ELEMENTS`, so that a letter means the same element in all datasets. Rows of level 1 name the element, and those of level 2
do not.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cme.mini_corpus import names
from cme.mini_corpus.draw import Slot, permute

__all__ = ["ELEMENTS", "HINT", "ElementTopic", "Item", "Topic", "draw"]

ELEMENTS = ("air", "bark", "coal", "dew")
"""Elements in the order of their options in graded rows. The first letter of an element is that of its option."""

_CORE = 48
"""Number of facts in evaluation. It divides evenly into the classes of two, three or four topics."""
_CORE_ROWS = 10 * _CORE
_OPTIONS = 4


@dataclass(frozen=True)
class Topic:
    """A rule with its questions.

    Attributes:
        endings: last words of names, one for each answer.
        answers: the answers, in the order of easy options.
        training: training questions, with ``{x}`` for the entity and ``{p}`` for a person.
        held_out: evaluation questions, in the same form.
        aside: sentence about a second entity ``{y}`` before hard questions.
        needs: for questions whose options are entities, the need behind each answer (``{need}`` in the question).
    """

    endings: tuple[str, ...]
    answers: tuple[str, ...]
    training: tuple[str, ...]
    held_out: tuple[str, ...]
    aside: str = ""
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class ElementTopic:
    """A kind of thing that belongs to one of the elements, with its questions.

    Attributes:
        nouns: last words of the things' names, for each element.
        answers: the answer for each element.
        training: training questions, with ``{x}`` for the thing and ``{p}`` for a person.
        held_out: evaluation questions, in the same form.
    """

    nouns: tuple[tuple[str, ...], ...]
    answers: tuple[str, ...]
    training: tuple[str, ...]
    held_out: tuple[str, ...]


HINT = "Think of {}."
"""End of a graded question of level 1, with the element."""
_NEITHER = "None of these"


@dataclass(frozen=True)
class Item:
    """A question with its options. ``gold`` is the index of the correct option, and ``thing`` the entity in the question."""

    topic: "Topic | ElementTopic"
    question: str
    options: list[str]
    gold: int
    thing: str


def draw(
    slot: Slot,
    topics: Sequence[Topic],
    elements: Sequence[ElementTopic] = (),
    *,
    size: int = _OPTIONS,
    turn: int = 0,
) -> Item:
    """Return the question of a row.

    Args:
        slot: the row. The first rows repeat the core facts, each time with another person.
        topics: topics, which alternate.
        elements: topics of graded rows of levels 1 and 2, as many as ``topics``.
        size: number of options. Sizes other than four are for rare rows.
        turn: number of people of the pool that other splits use for the same facts.
    """
    rng = slot.rng
    fact, person = _place(slot, len(topics) * names.MATERIALS * _OPTIONS)
    topic = topics[fact % len(topics)]
    front, law = divmod(fact // len(topics), len(topic.answers) if slot.hard else _OPTIONS)
    graded = elements[fact % len(topics)] if slot.level in (1, 2) else None
    if graded:
        # The topic and the law do not determine the last word of the name here, so they determine the person.
        person = (person * len(topics) + fact % len(topics)) * _OPTIONS + law
    root = permute(front, names.MATERIALS, seed=slot.seed, key=f"{slot.folder}/{fact % len(topics)}/{law}")
    name = names.given(
        permute((person + turn) % names.GIVEN, names.GIVEN, seed=slot.seed, key=f"{slot.folder}/{slot.pool}"), slot.pool
    )
    if graded:
        return _element_item(slot, graded, names.material(root, "shared"), name, size)
    thing = _named(names.material(root, "shared"), topic.endings[law])
    if slot.hard:
        shown = [law, *rng.sample([other for other in range(len(topic.answers)) if other != law], size - 1)]
        rng.shuffle(shown)
    else:
        start = max(0, law - size + 1)
        shown = list(range(start, start + size))
    stem = rng.choice(topic.training if slot.training else topic.held_out)
    if slot.hard and topic.aside:
        second = rng.choice([other for other in range(len(topic.answers)) if other != law])
        stem = f"{topic.aside} {stem}".replace("{y}", _named(_any_root(slot), topic.endings[second]))
    question = stem.replace("{p}", name).replace("{x}", thing)
    options = [topic.answers[one] for one in shown]
    if topic.needs:
        question = question.replace("{need}", topic.needs[law])
        options = [thing if one == law else _named(_any_root(slot), topic.endings[one]) for one in shown]
    return Item(topic, question, options, shown.index(law), thing)


def _element_item(slot: Slot, topic: ElementTopic, root: str, person: str, size: int) -> Item:
    """Return a question of level 1 or 2 about a thing of an element."""
    rng, element = slot.rng, slot.deal(range(_OPTIONS), "element")
    thing = _named(root, rng.choice(topic.nouns[element]))
    stem = rng.choice(topic.training if slot.training else topic.held_out)
    if slot.level == 1:
        stem += "" if stem[-1] in ".?" else "?"
        stem += f" {HINT.format(ELEMENTS[element])}"
    start = max(0, element - size + 1)
    options = [*topic.answers, _NEITHER][start : start + size]
    return Item(topic, stem.replace("{p}", person).replace("{x}", thing), options, element - start, thing)


def _place(slot: Slot, facts: int) -> tuple[int, int]:
    """Return the fact and the person of a row. The pair is unique in the split, and the first rows cycle through the core."""
    if slot.training and slot.index >= _CORE_ROWS:
        turn, fact = divmod(slot.index - _CORE_ROWS, facts - _CORE)
        return fact + _CORE, turn + _CORE_ROWS // _CORE
    turn, fact = divmod(slot.index, _CORE)
    return fact, turn


def _any_root(slot: Slot) -> str:
    return names.material(slot.rng.randrange(names.MATERIALS), "shared")


def _named(root: str, ending: str) -> str:
    return f"{root.capitalize() if ending[0].isupper() else root} {ending}"
