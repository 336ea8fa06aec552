"""Runs programs of the mini corpus with their tests, and measures their time."""

import time
from collections import Counter
from dataclasses import dataclass

from cme.data.load import normalise_all
from cme.evaluation.code import program_of
from cme.mini_corpus import rows
from cme.progress import bar
from cme.sandbox import Program, open_isolation, run_programs
from cme.suite import dataset

__all__ = ["Measured", "measure_programs", "mini_programs"]

_DATASET, _SPLIT = "mbpp", "test"


@dataclass(frozen=True)
class Measured:
    """How long some programs took.

    Attributes:
        programs: number of programs.
        workers: number of programs that ran at the same time; None for the number of CPU cores.
        seconds: wall-clock time, without the check of the sandbox.
        outcomes: number of programs by outcome.
    """

    programs: int
    workers: int | None
    seconds: float
    outcomes: dict[str, int]


def mini_programs(number: int) -> list[Program]:
    """Return solutions of the mini corpus with their tests. Every fifth one is wrong."""
    spec = dataset(_DATASET)
    examples = normalise_all(rows(_DATASET, _SPLIT, number, difficulty="graded"), spec).examples
    answers = [
        example.output.replace("return", "return 1 +") if place % 5 == 4 else example.output
        for place, example in enumerate(examples)
    ]
    return [program_of(answer, example.answers[0]) for answer, example in zip(answers, examples, strict=True)]


def measure_programs(number: int, mode: str = "sandboxed", workers: int | None = None) -> Measured:
    """Run programs and measure their time.

    Args:
        number: number of programs.
        mode: one of `cme.sandbox.RUN_CODE`.
        workers: number of programs that run at the same time; None for the number of CPU cores.

    Raises:
        CMEError: code cannot run here.
    """
    programs, isolation = mini_programs(number), open_isolation(mode)
    started = time.perf_counter()
    with bar("Programs", total=number) as progress:
        outcomes = run_programs(programs, isolation, lambda place, outcome: progress.advance(), workers=workers)
    seconds = time.perf_counter() - started
    return Measured(number, workers, seconds, dict(Counter(outcome.status for outcome in outcomes)))
