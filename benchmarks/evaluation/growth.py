"""How time grows with rows and with options."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.evaluation.rows import OPTIONS, Part, with_options
from benchmarks.evaluation.timing import ENGINE, STOCK, both
from cme.progress import bar

__all__ = ["Point", "measure_growth"]

_SHARES = (4, 2, 1)
_OPTION_ROWS = 4


@dataclass(frozen=True)
class Point:
    """Times at one size.

    Attributes:
        axis: ``rows``: rows of a dataset as they are; ``options``: some rows with so many made-up options of several tokens.
        dataset: whose rows.
        size: how many rows or options.
        rows: how many rows.
        stock: seconds of lm-eval, median of the rounds.
        engine: seconds of CME, likewise.
    """

    axis: str
    dataset: str
    size: int
    rows: int
    stock: float
    engine: float


def measure_growth(lms: Mapping[str, Any], parts: Sequence[Part], batch_size: int, rounds: int) -> list[Point]:
    """Measure how time grows, on the rows of one dataset of choices, that with prompts of middle length.

    Args:
        lms: side → model.
        parts: all that is measured.
        batch_size: lm-eval's, for choices.
        rounds: times that each point is measured.

    Returns:
        No points without a dataset of choices; no options where no prompt has enough words to make them of.
    """
    choices = sorted((part for part in parts if part.kind == "choice"), key=lambda part: part.tokens / len(part.ids))
    if not choices:
        return []
    part = choices[len(choices) // 2]
    work = list(_sizes(part))
    taken: list[dict[str, list[float]]] = [{STOCK: [], ENGINE: []} for _ in work]
    with bar(f"growth: {part.dataset}", len(work) * rounds) as progress:
        # The engine checks itself on the first requests of a kind, which is no matter of size.
        for axis in dict.fromkeys(axis for axis, _, _ in work):
            both(lms, next(asked for name, _, asked in work if name == axis), batch_size, turn=0)
        for turn in range(rounds):
            for place, (_, _, asked) in enumerate(work):
                for side, found in both(lms, asked, batch_size, turn + place).items():
                    taken[place][side].append(found.seconds)
                progress.advance()
    return [
        Point(axis, part.dataset, size, len(asked.ids), *(statistics.median(times[side]) for side in (STOCK, ENGINE)))
        for (axis, size, asked), times in zip(work, taken, strict=True)
    ]


def _sizes(part: Part) -> Iterable[tuple[str, int, Part]]:
    for rows in sorted({max(1, len(part.ids) // share) for share in _SHARES}):
        yield "rows", rows, part.first(rows)
    for options in OPTIONS:
        asked = with_options(part, options).first(_OPTION_ROWS)
        if asked.ids:
            yield "options", options, asked
