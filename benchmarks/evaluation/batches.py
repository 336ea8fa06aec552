"""Search for lm-eval's fastest batch size on a small number of rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.evaluation.rows import Part
from benchmarks.evaluation.timing import answer
from cme.progress import bar

__all__ = ["BatchChoice", "best_batches", "sample"]

_ROWS = 16
"""Number of rows per dataset in the search. It is the largest batch size that is tried on a CPU."""


@dataclass(frozen=True)
class BatchChoice:
    """The batch size that lm-eval uses.

    Attributes:
        kind: ``choice`` or ``generate``.
        size: The fastest batch size.
        seconds: The time of each batch size that was tried, in seconds. It is empty if there was only one.
        datasets: The datasets of the search.
    """

    kind: str
    size: int
    seconds: dict[int, float]
    datasets: tuple[str, ...]


def best_batches(lm: Any, parts: Sequence[Part], sizes: Sequence[int]) -> dict[str, BatchChoice]:
    """Find lm-eval's best batch size for choices and for texts.

    Args:
        lm: The model of lm-eval.
        parts: All requests of the measurement.
        sizes: The batch sizes to try. A single size is used without a trial.

    Returns:
        The chosen batch size for each kind of request that occurs.
    """
    tried = {kind: sample([part for part in parts if part.kind == kind]) for kind in ("choice", "generate")}
    tried = {kind: chosen for kind, chosen in tried.items() if chosen}
    if len(sizes) == 1:
        return {kind: BatchChoice(kind, sizes[0], {}, ()) for kind in tried}
    best = {}
    with bar("lm-eval's batch size", len(sizes) * sum(map(len, tried.values()))) as progress:
        for kind, chosen in tried.items():
            seconds = dict.fromkeys(sizes, 0.0)
            # All sizes are tried on one dataset after the other, so that other load on the machine affects them equally.
            for part in chosen:
                for size in sizes:
                    seconds[size] += answer(lm, part, size).seconds
                    progress.advance()
            names = tuple(part.dataset for part in chosen)
            best[kind] = BatchChoice(kind, min(sizes, key=lambda size: seconds[size]), seconds, names)
    return best


def sample(parts: Sequence[Part]) -> list[Part]:
    """Return the first rows of the datasets with the shortest, the median and the longest prompts."""
    ordered = sorted(parts, key=lambda part: part.tokens / len(part.ids))
    places = sorted({0, len(ordered) // 2, len(ordered) - 1}) if ordered else []
    return [ordered[place].first(_ROWS) for place in places]
