"""AQuA-RAT: word problems with five options, whose wrong numbers are those of wrong calculations."""

from cme.mini_corpus.draw import Row, Slot
from cme.mini_corpus.problems import Problem, problem
from cme.mini_corpus.renderer import Renderer

__all__ = ["RENDERERS"]

_LETTERS = "ABCDE"
_STEPS = {0: (1,), 1: (1,), 2: (1, 2), 3: (3, 4)}
_DISTRACTORS = {0: 0, 1: 0, 2: 1, 3: 2}
_LARGEST = {0: 9, 1: 9, 2: 20, 3: 40}


def _make(slot: Slot) -> Row:
    level = 3 if slot.hard else slot.level
    more = 2 if slot.long else 0
    made = problem(slot, _STEPS[level], min(4, _DISTRACTORS[level] + more), _LARGEST[level])
    place = slot.deal(range(len(_LETTERS)), "letter")
    options = _wrong(slot, made, near=level in (2, 3))
    options.insert(place, made.answer)
    solved = "\n".join(f"{step.left} {step.sign} {step.right} = {step.result}" for step in made.steps)
    return {
        "question": " ".join((*made.body, made.question)),
        "options": [f"{letter}){number}" for letter, number in zip(_LETTERS, options, strict=True)],
        "rationale": f"{solved}\nAnswer: {_LETTERS[place]}",
        "correct": _LETTERS[place],
    }


def _wrong(slot: Slot, made: Problem, *, near: bool) -> list[int]:
    """Return four wrong numbers. In the first level they are far from the right one; otherwise wrong calculations give them."""
    answer, rng = made.answer, slot.rng
    last = made.steps[-1]
    slips = [last.left, last.left + last.right, abs(last.left - last.right), *made.others, answer + 1, answer - 1]
    candidates = [number for number in dict.fromkeys(slips) if number > 0 and number != answer] if near else []
    rng.shuffle(candidates)
    wrong = candidates[:4]
    while len(wrong) < 4:
        number = answer + rng.randint(2, 30)
        if number not in wrong:
            wrong.append(number)
    return wrong


def _identify(slot: Slot) -> Row:
    return {}


RENDERERS = (
    Renderer(
        folder="aqua_rat",
        dataset="aqua_rat",
        sizes={"train": 120_000, "validation": 1_000, "test": 1_000},
        make=_make,
        identify=_identify,
        texts=("question",),
        leaks={"train": "test"},
        grades=(1, 1, 2, 2, 3),
        practice=(1, 1, 1, 2, 2, 3),
    ),
)
