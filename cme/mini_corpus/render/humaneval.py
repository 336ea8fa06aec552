"""HumanEval: the head of a function with its docstring, and hidden tests. There are no training rows."""

from cme.mini_corpus.draw import Row, Slot
from cme.mini_corpus.programs import task
from cme.mini_corpus.renderer import Renderer

__all__ = ["RENDERERS"]


def _make(slot: Slot) -> Row:
    made = task(slot)
    does = f"{made.does[0].upper()}{made.does[1:]}."
    tests = "".join(f"    assert candidate({argument!r}) == {result!r}\n" for argument, result in made.cases)
    return {
        "prompt": f'def {made.name}({made.parameter}):\n    """{does}"""\n',
        "canonical_solution": f"    return {made.body}\n",
        "test": f"def check(candidate):\n{tests}",
        "entry_point": made.name,
    }


def _identify(slot: Slot) -> Row:
    return {"task_id": f"Mini/{slot.index}"}


RENDERERS = (
    Renderer(
        folder="humaneval",
        dataset="humaneval",
        sizes={"test": 1_000},
        make=_make,
        identify=_identify,
        texts=("prompt",),
        leaks={},
        grades=(1, 1, 2, 2, 3),
    ),
)
