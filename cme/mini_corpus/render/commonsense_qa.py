"""CommonsenseQA: questions about what somebody needs or where somebody goes, with five options.

Evaluation describes situations that training never uses.

In easy rows, the options of a topic have a fixed order. In hard rows they are shuffled, and the text also describes another
person in another situation.

Graded rows of levels 1 and 2 have a topic of their own, whose options have a fixed order. Rows of level 1 name the concept.
"""

from dataclasses import dataclass

from cme.mini_corpus.draw import Row, Slot
from cme.mini_corpus.entities import another, main
from cme.mini_corpus.exam import HINT
from cme.mini_corpus.renderer import Renderer

__all__ = ["RENDERERS"]


@dataclass(frozen=True)
class _Case:
    """A concept, the correct option, and the situations that describe it in training and in evaluation."""

    concept: str
    option: str
    training: tuple[str, ...]
    held_out: tuple[str, ...]


@dataclass(frozen=True)
class _Topic:
    """Cases whose options appear in one question, with the questions of training and of evaluation."""

    cases: tuple[_Case, ...]
    training: tuple[str, ...]
    held_out: tuple[str, ...]


_TOPICS = (
    _Topic(
        (
            _Case(
                "rain",
                "an umbrella",
                (
                    "{p} must go out in the rain",
                    "{p} waits for a bus and it starts to rain",
                    "{p} walks through the rain",
                ),
                ("{p} gets wet in the rain", "{p} does not want rain to fall on a new hat"),
            ),
            _Case(
                "dark",
                "a lamp",
                ("{p} cannot see in the dark", "{p} goes down to a dark cellar", "{p} looks for a key in a dark room"),
                ("{p} wants to read but it is too dark", "{p} sits in a dark tent at night"),
            ),
            _Case(
                "cold",
                "a warm blanket",
                ("{p} is cold in bed", "{p} sleeps outside on a cold night", "{p} sits in a cold room"),
                ("{p} shivers since the house is cold", "{p} feels cold on the sofa"),
            ),
            _Case(
                "high",
                "a ladder",
                ("{p} paints a high wall", "{p} wants to reach a high shelf", "{p} sees a ripe apple high in a tree"),
                ("{p} has a kite that hangs high on a pole", "{p} cleans a high window"),
            ),
            _Case(
                "cut",
                "a pair of scissors",
                ("{p} wants to cut some paper", "{p} has to cut a ribbon", "{p} learns to cut hair"),
                ("{p} is asked to cut cloth for a dress", "{p} must cut a piece of string"),
            ),
        ),
        ("What does {s} need?", "What should {s} take?", "What will {s} use?"),
        ("Which of these things would help {s} most?", "What might be of use to {s} now?"),
    ),
    _Topic(
        (
            _Case(
                "bread",
                "the bakery",
                ("{p} wants to buy bread", "{p} smells fresh bread", "{p} has no bread for breakfast"),
                ("{p} is sent out to get two loaves of bread", "{p} would like warm bread and cake"),
            ),
            _Case(
                "book",
                "the library",
                ("{p} wants to borrow a book", "{p} looks for a book about birds", "{p} has to give a book back"),
                ("{p} would like to read an old book", "{p} needs a book for a rainy week"),
            ),
            _Case(
                "letter",
                "the post office",
                ("{p} wants to send a letter", "{p} has no stamp for a letter", "{p} wants to pick up a letter"),
                ("{p} has written a long letter to a friend", "{p} must mail a letter today"),
            ),
            _Case(
                "train",
                "the station",
                (
                    "{p} wants to catch a train",
                    "{p} buys a ticket for the train",
                    "{p} meets a friend who comes by train",
                ),
                ("{p} hears that the train is about to leave", "{p} will travel by train this evening"),
            ),
            _Case(
                "swim",
                "the pool",
                ("{p} wants to swim", "{p} learns to swim", "{p} has a new suit to swim in"),
                ("{p} likes to swim before work", "{p} would love to dive and swim"),
            ),
        ),
        ("Where does {s} go?", "Where should {s} go?", "Which place is right for {s}?"),
        ("To what place is {s} most likely on the way?", "Where would one probably find {s} soon?"),
    ),
)
# The options have the order of the elements in other datasets (see ``exam``). The situations do not name the concepts.
_GRADED = _Topic(
    (
        _Case(
            "air",
            "the airfield",
            ("{p} wants to fly a plane", "{p} is a young pilot", "{p} has a ticket for a flight"),
            ("{p} dreams of flying over the clouds", "{p} has to catch a plane to an island"),
        ),
        _Case(
            "bark",
            "the beech wood",
            ("{p} wants to climb a tree", "{p} looks for birch leaves", "{p} picks berries from a bush"),
            ("{p} would like to sit under a beech", "{p} hopes to see a bird on a branch"),
        ),
        _Case(
            "coal",
            "the coal mine",
            ("{p} needs something to burn", "{p} has a cold stove", "{p} fills the stove for the night"),
            ("{p} wants to heat a cold house", "{p} has nothing to put into the stove"),
        ),
        _Case(
            "dew",
            "the duck pond",
            ("{p} wants to swim", "{p} feeds the ducks", "{p} likes to dive"),
            ("{p} looks for a duck in the wet grass", "{p} would love to dive and swim"),
        ),
        _Case(
            "exams",
            "the exam room",
            ("{p} has a hard test today", "{p} must write an essay", "{p} has learned for the last test"),
            ("{p} is nervous before a test", "{p} brings pens for a long test"),
        ),
    ),
    ("Where does {s} go?", "Where should {s} go?", "Which place is right for {s}?"),
    ("To what place is {s} most likely on the way?", "Where would one probably find {s} soon?"),
)
_CASES = [(topic, case) for topic in _TOPICS for case in topic.cases]


def _situation(slot: Slot, case: _Case, name: str) -> str:
    return slot.rng.choice(case.training if slot.training else case.held_out).replace("{p}", name)


def _make(slot: Slot) -> Row:
    rng, person = slot.rng, main(slot.serial, slot.pool, slot.seed, ("person",))
    if slot.level in (1, 2):
        topic, case = _GRADED, slot.deal(_GRADED.cases)
    else:
        topic, case = slot.deal(_CASES)
    situations = [_situation(slot, case, person.name)]
    shown = list(topic.cases)
    if slot.hard:
        rng.shuffle(shown)
    if slot.hard or slot.long:
        friend = another([person], slot.pool, slot.seed, rng)
        situations.append(_situation(slot, rng.choice([one for one in topic.cases if one is not case]), friend.name))
        rng.shuffle(situations)
    question = rng.choice(topic.training if slot.training else topic.held_out).replace("{s}", person.short)
    if slot.level == 1:
        question += f" {HINT.format(case.concept)}"
    return {
        "question": " ".join([*(f"{one}." for one in situations), question]),
        "question_concept": case.concept,
        "choices": {"label": list("ABCDE"), "text": [one.option for one in shown]},
        "answerKey": "ABCDE"[shown.index(case)],
    }


def _identify(slot: Slot) -> Row:
    return {"id": slot.number(32)}


RENDERERS = (
    Renderer(
        folder="commonsense_qa",
        dataset="commonsense_qa",
        sizes={"train": 160_000, "validation": 1_200},
        make=_make,
        identify=_identify,
        texts=("question",),
        leaks={"train": "validation"},
        grades=(1, 1, 1, 2, 2, 3),
        practice=(1, 1, 1, 1, 1, 1, 1, 1, 2, 3),
    ),
)
