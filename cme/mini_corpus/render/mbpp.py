"""MBPP: a task in one sentence, a solution and three asserts."""

from cme.mini_corpus.draw import Row, Slot
from cme.mini_corpus.programs import task
from cme.mini_corpus.renderer import Renderer

__all__ = ["RENDERERS"]

_SHOWN = 3
_FIRST = {"train": 1_000_001, "test": 1}


def _make(slot: Slot) -> Row:
    made = task(slot)
    tests = [f"assert {made.name}({argument!r}) == {result!r}" for argument, result in made.cases]
    return {
        "text": f"Write a function {made.name} that {made.does}.",
        "code": f"{made.code}\n",
        "test_list": tests[:_SHOWN],
        "test_setup_code": "",
        "challenge_test_list": tests[_SHOWN:],
    }


def _identify(slot: Slot) -> Row:
    return {"task_id": _FIRST[slot.split] + slot.index}


RENDERERS = (
    Renderer(
        folder="mbpp",
        dataset="mbpp",
        sizes={"train": 60_000, "test": 1_000},
        make=_make,
        identify=_identify,
        texts=("text",),
        leaks={"train": "test"},
        lower=True,
        grades=(1, 1, 2, 2, 3),
        practice=(1, 1, 1, 1, 2, 2, 3),
    ),
)
