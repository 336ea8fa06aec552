"""GSM8K: word problems of one to five steps, with worked solutions that have the marks of a calculator."""

from cme.mini_corpus.draw import Row, Slot
from cme.mini_corpus.problems import Problem, Step, problem
from cme.mini_corpus.renderer import Renderer

__all__ = ["RENDERERS"]

_STEPS = {0: (1, 2), 1: (1, 2), 2: (2, 3), 3: (4, 5)}
_DISTRACTORS = {0: 0, 1: 0, 2: 1, 3: 2}
_LARGEST = {0: 12, 1: 12, 2: 20, 3: 40}
_LINES = (
    "Then {p} has {s} {t}.",
    "That makes {s} {t}.",
    "Now there are {s} {t}.",
    "So {p} has {s}.",
)


def _make(slot: Slot) -> Row:
    level = 3 if slot.hard else slot.level
    more = 2 if slot.long else 0
    made = problem(slot, _STEPS[level], min(4, _DISTRACTORS[level] + more), _LARGEST[level])
    lines = [_line(slot, made, step) for step in made.steps]
    return {"question": " ".join((*made.body, made.question)), "answer": "\n".join((*lines, f"#### {made.answer}"))}


def _line(slot: Slot, made: Problem, step: Step) -> str:
    left, sign, right, result = step.left, step.sign, step.right, step.result
    shown = f"{left} {sign} {right} = <<{left}{sign}{right}={result}>>{result}"
    return slot.rng.choice(_LINES).format(p=made.person.short, s=shown, t=made.things)


def _identify(slot: Slot) -> Row:
    return {}


RENDERERS = (
    Renderer(
        folder="gsm8k",
        dataset="gsm8k",
        sizes={"train": 120_000, "test": 1_300},
        make=_make,
        identify=_identify,
        texts=("question",),
        leaks={"train": "test"},
        grades=(1, 1, 2, 2, 3),
        practice=(1, 1, 1, 2, 2, 3),
    ),
)
