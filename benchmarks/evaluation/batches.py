"""lm-eval's best fixed batch size: a few are tried on a small part."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.evaluation.rows import Part
from benchmarks.evaluation.timing import answer
from cme.progress import bar

__all__ = ["BatchChoice", "best_batches", "sample"]

_ROWS = 16
"""Rows of a dataset that are tried: as many as the largest batch that a CPU tries."""


@dataclass(frozen=True)
class BatchChoice:
    """The batch size that lm-eval got.

    Attributes:
        kind: ``choice`` or ``generate``.
        size: the fastest.
        seconds: of each size that was tried, in order; empty if there was one only.
        datasets: on which they were tried.
    """

    kind: str
    size: int
    seconds: dict[int, float]
    datasets: tuple[str, ...]


def best_batches(lm: Any, parts: Sequence[Part], sizes: Sequence[int]) -> dict[str, BatchChoice]:
    """Find lm-eval's best batch size for choices and for texts.

    Args:
        lm: lm-eval's side.
        parts: all that will be measured.
        sizes: to try; one is taken without a trial.

    Returns:
        By kind, of the kinds that there are.
    """
    tried = {kind: sample([part for part in parts if part.kind == kind]) for kind in ("choice", "generate")}
    tried = {kind: chosen for kind, chosen in tried.items() if chosen}
    if len(sizes) == 1:
        return {kind: BatchChoice(kind, sizes[0], {}, ()) for kind in tried}
    found = {}
    with bar("lm-eval's batch size", len(sizes) * sum(map(len, tried.values()))) as progress:
        for kind, chosen in tried.items():
            seconds = dict.fromkeys(sizes, 0.0)
            # Dataset by dataset: what the machine does meanwhile falls on all sizes alike.
            for part in chosen:
                for size in sizes:
                    seconds[size] += answer(lm, part, size).seconds
                    progress.advance()
            names = tuple(part.dataset for part in chosen)
            found[kind] = BatchChoice(kind, min(sizes, key=lambda size: seconds[size]), seconds, names)
    return found


def sample(parts: Sequence[Part]) -> list[Part]:
    """The first rows of the datasets with the shortest, the middle and the longest prompts."""
    ordered = sorted(parts, key=lambda part: part.tokens / len(part.ids))
    places = sorted({0, len(ordered) // 2, len(ordered) - 1}) if ordered else []
    return [ordered[place].first(_ROWS) for place in places]
