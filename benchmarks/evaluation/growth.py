"""Growth of time with the number of rows and of options."""

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
    """The times at one size.

    Attributes:
        axis: ``rows`` for different numbers of rows, or ``options`` for different numbers of generated options.
        dataset: The dataset of the rows.
        size: Number of rows or options.
        rows: Number of rows.
        stock: Time of lm-eval in seconds, median over the rounds.
        engine: Time of CME in seconds, median over the rounds.
    """

    axis: str
    dataset: str
    size: int
    rows: int
    stock: float
    engine: float


def measure_growth(lms: Mapping[str, Any], parts: Sequence[Part], batch_size: int, rounds: int) -> list[Point]:
    """Measure the growth of time on the choice dataset with the median prompt length.

    Args:
        lms: The model of each side.
        parts: All requests of the measurement.
        batch_size: lm-eval's batch size for choices.
        rounds: Number of measurements of each point.

    Returns:
        The points. There are none without a choice dataset, and none for options if no prompt has enough words.
    """
    choices = sorted((part for part in parts if part.kind == "choice"), key=lambda part: part.tokens / len(part.ids))
    if not choices:
        return []
    part = choices[len(choices) // 2]
    work = list(_sizes(part))
    taken: list[dict[str, list[float]]] = [{STOCK: [], ENGINE: []} for _ in work]
    with bar(f"growth: {part.dataset}", len(work) * rounds) as progress:
        # The engine checks itself on the first requests of a kind. This does not depend on the size and is not measured.
        for axis in dict.fromkeys(axis for axis, _, _ in work):
            both(lms, next(requests for name, _, requests in work if name == axis), batch_size, turn=0)
        for turn in range(rounds):
            for place, (_, _, requests) in enumerate(work):
                for side, answered in both(lms, requests, batch_size, turn + place).items():
                    taken[place][side].append(answered.seconds)
                progress.advance()
    return [
        Point(
            axis, part.dataset, size, len(requests.ids), *(statistics.median(times[side]) for side in (STOCK, ENGINE))
        )
        for (axis, size, requests), times in zip(work, taken, strict=True)
    ]


def _sizes(part: Part) -> Iterable[tuple[str, int, Part]]:
    for rows in sorted({max(1, len(part.ids) // share) for share in _SHARES}):
        yield "rows", rows, part.first(rows)
    for options in OPTIONS:
        requests = with_options(part, options).first(_OPTION_ROWS)
        if requests.ids:
            yield "options", options, requests
