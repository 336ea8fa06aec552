"""SVAMP: word problems of one or two steps whose body states numbers that change nothing."""

from cme.mini_corpus.draw import Row, Slot
from cme.mini_corpus.problems import problem
from cme.mini_corpus.renderer import Renderer

__all__ = ["RENDERERS"]

_TYPES = {"+": "Addition", "-": "Subtraction", "*": "Multiplication", "/": "Common-Division"}
_STEPS = {0: (1,), 1: (1,), 2: (1,), 3: (1, 2)}
_DISTRACTORS = {0: 0, 1: 0, 2: 1, 3: 2}
_LARGEST = {0: 12, 1: 12, 2: 20, 3: 40}


def _make(slot: Slot) -> Row:
    level = 3 if slot.hard else slot.level
    more = 2 if slot.long else 0
    made = problem(slot, _STEPS[level], min(4, _DISTRACTORS[level] + more), _LARGEST[level])
    equation = f"{made.steps[0].left}.0"
    for step in made.steps:
        equation = f"( {equation} {step.sign} {step.right}.0 )"
    body = " ".join(made.body)
    return {
        # Some bodies on the hub lack the full stop.
        "Body": body.removesuffix(".") if slot.rng.random() < 0.1 else body,
        "Question": made.question,
        "Equation": equation,
        "Answer": f"{made.answer}.0",
        "Type": _TYPES[made.steps[-1].sign],
        "question_concat": f"{body} {made.question}",
    }


def _identify(slot: Slot) -> Row:
    return {"ID": f"chal-{slot.index + 1}"}


RENDERERS = (
    Renderer(
        folder="svamp",
        dataset="svamp",
        sizes={"train": 40_000, "test": 1_000},
        make=_make,
        identify=_identify,
        texts=("Body", "Question"),
        leaks={"train": "test"},
        grades=(1, 1, 2, 2, 3),
        practice=(1, 1, 1, 2, 2, 3),
    ),
)
