"""Generates the same solutions with and without the early stop, in turns."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.evaluation import EvalBenchSettings
from benchmarks.evaluation.opening import Opened, open_all
from benchmarks.evaluation.rows import Part
from benchmarks.evaluation.timing import ENGINE, answer
from cme.errors import UsageError
from cme.progress import bar
from cme.suite import select
from cme.suite.metrics import final_number

__all__ = ["Saving", "measure_solutions"]


@dataclass(frozen=True)
class Saving:
    """The generated tokens of one dataset without and with the early stop.

    Attributes:
        dataset: Name of the dataset.
        rows: Number of rows.
        without: Generated tokens without the stop.
        stopped: Generated tokens with the stop.
        ended: Number of texts that the stop shortened.
        same: Number of rows with the same final number.
        seconds: Times without and with the stop in each round, in seconds.
    """

    dataset: str
    rows: int
    without: int
    stopped: int
    ended: int
    same: int
    seconds: tuple[tuple[float, float], ...]

    @property
    def tokens(self) -> float:
        """Ratio of the generated tokens."""
        return self.without / self.stopped

    @property
    def time(self) -> float:
        """Ratio of the times, as the median over the rounds."""
        return statistics.median(one / other for one, other in self.seconds)


def measure_solutions(settings: EvalBenchSettings) -> list[Saving]:
    """Generate the solutions of each dataset with and without the early stop. The order alternates between rounds.

    Args:
        settings: The settings. All datasets must have worked solutions.

    Raises:
        CMEError: The base, the adapter or the rows do not exist.
        UsageError: The answers of a dataset are no worked solutions.
    """
    for spec in select(settings.datasets):
        if spec.answer != "number":
            raise UsageError(f"{spec.name} has no worked solutions. Choose gsm8k, or gsm8k,svamp.")
    opened, savings = open_all(settings), []
    with bar("solutions", len(opened.parts) * settings.rounds) as progress:
        for part in opened.parts:
            progress.describe(f"solutions: {part.dataset}")
            rounds = []
            for turn in range(settings.rounds):
                rounds.append({stop: _answered(opened, part, stop) for stop in _order(turn)})
                progress.advance()
            savings.append(_saving(part, rounds))
    return savings


def _order(turn: int) -> tuple[bool, bool]:
    return (False, True) if turn % 2 == 0 else (True, False)


def _answered(opened: Opened, part: Part, stop: bool) -> tuple[Sequence[str], int, float]:
    lm = opened.side(ENGINE)
    lm.early_stop = stop
    answered = answer(lm, part, 1)
    if answered.used != ENGINE_NAME:
        raise UsageError(f"the prefix engine did not answer ({answered.used}), so there is no early stop to measure.")
    return answered.answers, lm.written, answered.seconds


ENGINE_NAME = "prefix"
"""What `PrefixLM.used` says if the engine itself answered."""


def _saving(part: Part, rounds: Sequence[dict[bool, Any]]) -> Saving:
    whole, without, _ = rounds[0][False]
    short, stopped, _ = rounds[0][True]
    numbers = [(final_number(one), final_number(other)) for one, other in zip(whole, short, strict=True)]
    return Saving(
        dataset=part.dataset,
        rows=len(part.ids),
        without=without,
        stopped=stopped,
        ended=sum(one != other for one, other in zip(whole, short, strict=True)),
        same=sum(one == other for one, other in numbers),
        seconds=tuple((answers[False][2], answers[True][2]) for answers in rounds),
    )
