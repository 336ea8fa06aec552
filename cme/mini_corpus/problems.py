"""Word problems: a person has some things, and their number changes in one to five steps. Distractors change nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

from cme.mini_corpus.draw import Slot
from cme.mini_corpus.entities import Entity, another, main
from cme.mini_corpus.relations import listed

__all__ = ["Problem", "Step", "problem"]

_THINGS = listed(
    "shells|buttons|marbles|stamps|ribbons|acorns|candles|pebbles|feathers|coins|beads|postcards|tiles|corks|keys|bottles"
)
# No thirteen words follow each other without a name, so that rows about different people share no 13-gram.
_GAINS = (
    "{p} finds {k} more {t}.",
    "Then {p} buys {k} more {t}.",
    "{q} gives {p} {k} more {t}.",
    "After lunch {p} gets {k} {t} as a gift.",
)
_LOSSES = (
    "{p} loses {k} of the {t}.",
    "{p} gives {k} {t} to {q}.",
    "Then {p} sells {k} {t}.",
    "{q} takes {k} of the {t} of {p}.",
)
_TIMES = (
    "{q} helps {p} to get {k} times as many {t}.",
    "In a week {p} has {k} times as many {t}.",
)
_PARTS = (
    "{p} makes {k} equal piles of the {t} and gives {q} all but one.",
    "{q} splits the {t} into {k} equal piles, and {p} keeps one pile.",
)
_OTHERS = (
    "{q} has {m} {t}.",
    "{p} also has {m} {o}.",
    "{q} buys {m} {o} for {p}.",
    "The house of {p} is {m} years old.",
)
_QUESTIONS = (
    "How many {t} does {p} have now?",
    "How many {t} does {p} have at the end?",
    "What number of {t} does {p} have now?",
    "So how many {t} does {p} have?",
)
_KINDS = ("+", "-", "*", "/")


@dataclass(frozen=True)
class Step:
    """A change of the number.

    Attributes:
        left: number before the step.
        sign: ``+``, ``-``, ``*`` or ``/``.
        right: number that is stated.
        result: number after the step.
    """

    left: int
    sign: str
    right: int
    result: int


@dataclass(frozen=True)
class Problem:
    """A word problem with its solution.

    Attributes:
        person: whose things are counted.
        things: what is counted, as a plural.
        body: the sentences before the question.
        question: the question.
        steps: the steps of the solution, in order.
        others: numbers in the body that have no effect.
    """

    person: Entity
    things: str
    body: tuple[str, ...]
    question: str
    steps: tuple[Step, ...]
    others: tuple[int, ...]

    @property
    def answer(self) -> int:
        """The number that is asked for."""
        return self.steps[-1].result


def problem(slot: Slot, steps: Sequence[int], distractors: int, largest: int) -> Problem:
    """Make the problem of a slot.

    Args:
        slot: the slot.
        steps: possible numbers of steps. Each is equally frequent.
        distractors: number of sentences that change nothing.
        largest: largest number that is stated.
    """
    rng, person = slot.rng, main(slot.serial, slot.pool, slot.seed, ("person",))
    friend = another([person], slot.pool, slot.seed, rng)
    things, other = rng.sample(_THINGS, 2)
    names = {"p": person.short, "q": friend.short, "t": things, "o": other}
    count = slot.deal(steps, "steps")
    start = number = rng.randint(2, largest)
    sentences, made = [f"{person.name} has {start} {things}."], []
    for place in range(count):
        # Every step can be each kind of calculation, so neither place nor number gives it away.
        kind = slot.deal(_KINDS, f"kind {place}")
        step = _step(kind, number, largest, rng.randint(2, largest), rng.randint(2, 4))
        texts = {"+": _GAINS, "-": _LOSSES, "*": _TIMES, "/": _PARTS}[step.sign]
        sentences.append(rng.choice(texts).format(**names, k=step.right))
        made.append(step)
        number = step.result
    others = [rng.randint(2, largest) for _ in range(distractors)]
    for text, size in zip(rng.sample(_OTHERS, distractors), others, strict=True):
        sentences.insert(rng.randint(1, len(sentences)), text.format(**names, m=size))
    question = rng.choice(_QUESTIONS).format(**names)
    return Problem(person, things, tuple(sentences), question, tuple(made), tuple(others))


def _step(kind: str, number: int, largest: int, size: int, factor: int) -> Step:
    """Return a step whose result is a positive whole number, of the kind if that is possible."""
    if kind == "/" and (factors := [part for part in (factor, 2, 3, 4, 5) if number % part == 0 and number > part]):
        return Step(number, "/", factors[0], number // factors[0])
    if kind == "*" and number * factor <= 6 * largest:
        return Step(number, "*", factor, number * factor)
    if kind == "-" and number > 2:
        right = 1 + (size - 1) % (number - 2) if size >= number else size
        return Step(number, "-", right, number - right)
    return Step(number, "+", size, number + size)
