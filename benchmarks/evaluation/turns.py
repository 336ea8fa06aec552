"""Two ways to answer the same requests, compared in turns."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from benchmarks.evaluation.agreement import Agreement, compare, joined
from benchmarks.evaluation.rows import Part
from benchmarks.evaluation.timing import Answered
from cme.progress import bar

__all__ = ["InTurns", "agreement", "agreement_cells", "in_turns", "mean_cells", "seconds"]

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class InTurns:
    """One dataset that was measured in two ways.

    Attributes:
        dataset: Name of the dataset.
        rows: Number of rows.
        seconds: Times of the first and of the second way in each round, in seconds.
    """

    dataset: str
    rows: int
    seconds: tuple[tuple[float, float], ...]

    @property
    def time(self) -> float:
        """Time of the first way divided by that of the second, as the median over the rounds."""
        return statistics.median(first / second for first, second in self.seconds)


def in_turns(
    title: str, parts: Sequence[Part], rounds: int, measure: Callable[[Part, int], T]
) -> Iterator[tuple[Part, list[tuple[T, T]]]]:
    """Measure every dataset in two ways. The order alternates between rounds.

    Args:
        title: Name of the benchmark in the progress bar.
        parts: The requests of the datasets.
        rounds: Number of rounds.
        measure: Function that answers the requests in the way with this number, 0 or 1.

    Yields:
        The requests of a dataset, and what ``measure`` returned for both ways in each round.
    """
    with bar(title, len(parts) * rounds) as progress:
        for part in parts:
            progress.describe(f"{title}: {part.dataset}")
            measured = []
            for turn in range(rounds):
                answered = {way: measure(part, way) for way in ((0, 1) if turn % 2 == 0 else (1, 0))}
                measured.append((answered[0], answered[1]))
                progress.advance()
            yield part, measured


def seconds(rounds: Sequence[tuple[Answered, Answered]]) -> tuple[tuple[float, float], ...]:
    """Return the times of both ways in each round, in seconds."""
    return tuple((first.seconds, second.seconds) for first, second in rounds)


def agreement(part: Part, rounds: Sequence[tuple[Answered, Answered]]) -> Agreement:
    """Return the agreement of the answers of both ways over all rounds."""
    return joined([compare(part, first.answers, second.answers) for first, second in rounds])


def mean_cells(cost: InTurns) -> list[str]:
    """Return the mean times of both ways for a table."""
    return [f"{statistics.mean(times):.2f}" for times in zip(*cost.seconds, strict=True)]


def agreement_cells(found: Agreement) -> list[str]:
    """Return the largest gap of the log-probabilities, and the number of answers that differ, for a table."""
    gap = "texts" if found.gap is None else f"{found.gap:.1e}"
    return [gap, str(len(found.decisions) or len(found.texts))]
