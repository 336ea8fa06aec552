"""Generates the same solutions with and without the early stop, in turns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from benchmarks.evaluation import EvalBenchSettings
from benchmarks.evaluation.opening import Opened, open_all
from benchmarks.evaluation.rows import Part
from benchmarks.evaluation.timing import ENGINE, answer
from benchmarks.evaluation.turns import InTurns, in_turns
from cme.errors import UsageError
from cme.suite import select
from cme.suite.metrics import final_number

__all__ = ["Saving", "measure_solutions"]

_PREFIX_ENGINE = "prefix"
"""What `PrefixLM.used` says if the engine itself answered."""


@dataclass(frozen=True, kw_only=True)
class Saving(InTurns):
    """The generated tokens of one dataset without and with the early stop.

    Attributes:
        without: Generated tokens without the stop.
        stopped: Generated tokens with the stop.
        ended: Number of texts that the stop shortened.
        same: Number of rows with the same final number.
    """

    without: int
    stopped: int
    ended: int
    same: int

    @property
    def tokens(self) -> float:
        """Ratio of the generated tokens."""
        return self.without / self.stopped


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
    opened = open_all(settings)

    def measure(part: Part, way: int) -> _Generated:
        return _generated(opened, part, stop=bool(way))

    return [_saving(part, rounds) for part, rounds in in_turns("solutions", opened.parts, settings.rounds, measure)]


class _Generated(NamedTuple):
    texts: Sequence[str]
    tokens: int
    seconds: float


def _generated(opened: Opened, part: Part, *, stop: bool) -> _Generated:
    lm = opened.side(ENGINE)
    lm.early_stop = stop
    answered = answer(lm, part, 1)
    if answered.used != _PREFIX_ENGINE:
        raise UsageError(f"the prefix engine did not answer ({answered.used}), so there is no early stop to measure.")
    return _Generated(answered.answers, lm.written, answered.seconds)


def _saving(part: Part, rounds: Sequence[tuple[_Generated, _Generated]]) -> Saving:
    without, stopped = rounds[0]
    texts = list(zip(without.texts, stopped.texts, strict=True))
    return Saving(
        dataset=part.dataset,
        rows=len(part.ids),
        without=without.tokens,
        stopped=stopped.tokens,
        ended=sum(one != other for one, other in texts),
        same=sum(final_number(one) == final_number(other) for one, other in texts),
        seconds=tuple((one.seconds, other.seconds) for one, other in rounds),
    )
