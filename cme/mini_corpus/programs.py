"""Tiny programming tasks of three levels, with a solution and tests."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from cme.mini_corpus import names
from cme.mini_corpus.draw import Slot, permute

__all__ = ["CASES", "Task", "task"]

CASES = 4
"""Number of tests of a task."""

_NUMBERS = range(2, 30)
_LIST = range(4, 8)


@dataclass(frozen=True)
class Task:
    """A programming task.

    Attributes:
        name: name of the function to write.
        does: what the function does, as the rest of a sentence about it.
        parameter: name of its parameter.
        body: the expression that it returns.
        cases: arguments, each with the right result.
    """

    name: str
    does: str
    parameter: str
    body: str
    cases: tuple[tuple[Any, Any], ...]

    @property
    def code(self) -> str:
        """The solution."""
        return f"def {self.name}({self.parameter}):\n    return {self.body}"


# What the function does, the expression, and its value. {v} is the number, {k} a constant.
_ARITHMETIC: tuple[tuple[str, str, Callable[[int, int], int]], ...] = (
    ("adds {k} to a number", "{v} + {k}", lambda v, k: v + k),
    ("subtracts {k} from a number", "{v} - {k}", lambda v, k: v - k),
    ("multiplies a number by {k}", "{v} * {k}", lambda v, k: v * k),
    ("takes a number modulo {k}", "{v} % {k}", lambda v, k: v % k),
)
_REDUCTIONS: tuple[tuple[str, str, Callable[[list[int]], int]], ...] = (
    ("sum", "sum({v})", sum),
    ("largest number", "max({v})", max),
    ("smallest number", "min({v})", min),
    ("length", "len({v})", len),
)
_CONDITIONS: tuple[tuple[str, str, Callable[[int, int], bool]], ...] = (
    ("are greater than {k}", "n > {k}", lambda n, k: n > k),
    ("are less than {k}", "n < {k}", lambda n, k: n < k),
    ("are even", "n % 2 == 0", lambda n, k: n % 2 == 0),
    ("are odd", "n % 2 == 1", lambda n, k: n % 2 == 1),
)


def task(slot: Slot) -> Task:
    """Return the task of a row.

    Level 1 is one step of arithmetic. Level 2 takes a property of a list and one step of arithmetic. Level 3 selects numbers of a
    list, changes them and adds them up, and mentions a second function that does not matter.
    """
    rng, name = slot.rng, _name(slot)
    level = slot.level or (3 if slot.hard else 1)
    makers = {1: _arithmetic, 2: _property, 3: _selection}
    return makers[level](slot, rng, name)


def _arithmetic(slot: Slot, rng: Random, name: str) -> Task:
    does, body, value = slot.deal(_ARITHMETIC)
    constant = rng.choice(_NUMBERS)
    cases = tuple((number, value(number, constant)) for number in rng.sample(range(1, 100), CASES))
    return Task(name, does.format(k=constant), "number", body.format(v="number", k=constant), cases)


def _property(slot: Slot, rng: Random, name: str) -> Task:
    what, reduced, of = slot.deal(_REDUCTIONS)
    does, body, value = rng.choice(_ARITHMETIC)
    constant = rng.choice(_NUMBERS)
    cases = tuple((numbers, value(of(numbers), constant)) for numbers in _lists(rng))
    step = does.format(k=constant).replace("a number", f"the {what} of a list")
    return Task(name, step, "numbers", body.format(v=reduced.format(v="numbers"), k=constant), cases)


def _selection(slot: Slot, rng: Random, name: str) -> Task:
    which, condition, chosen = slot.deal(_CONDITIONS)
    bound, factor, extra = rng.choice(range(5, 20)), rng.choice(range(2, 9)), rng.choice(_NUMBERS)
    cases = tuple((numbers, sum(n * factor for n in numbers if chosen(n, bound))) for numbers in _lists(rng))
    # A name stands in every 13 words, so that rows with equal numbers are no copies of each other.
    does = (
        f"keeps the numbers of a list that {which.format(k=bound)}. {name} multiplies each of them by {factor} and returns "
        f"the sum. {name}_{extra} is another function, which adds {extra}"
    )
    body = f"sum(n * {factor} for n in numbers if {condition.format(k=bound)})"
    return Task(name, does, "numbers", body, cases)


def _lists(rng: Random) -> list[list[int]]:
    return [[rng.randrange(1, 30) for _ in range(rng.choice(_LIST))] for _ in range(CASES)]


def _name(slot: Slot) -> str:
    """Return the name of the function of a row. Functions of evaluation rows have names that no training row has."""
    place = permute(slot.serial % names.PEOPLE, names.PEOPLE, seed=slot.seed, key=f"function/{slot.folder}/{slot.pool}")
    return "_".join(names.person(place, slot.pool)).lower()
