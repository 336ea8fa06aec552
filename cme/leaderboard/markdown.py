"""Markdown tables with aligned pipes and fixed decimals: a changed number is a changed line, and nothing else is."""

from collections.abc import Sequence

__all__ = ["ABSENT", "duration", "millions", "plus_minus", "points", "table"]

ABSENT = "–"
"""Stands where there is no number."""


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, text: Sequence[int] = (0,)) -> str:
    """A Markdown table.

    Args:
        header: one word or more per column.
        rows: as many cells each as the header; pipes and line breaks in a cell are made harmless.
        text: indices of the columns that are aligned to the left; the others hold numbers.
    """
    lines = [[_cell(cell) for cell in line] for line in (header, *rows)]
    widths = [max(3, *(len(line[column]) for line in lines)) for column in range(len(header))]
    rule = ["-" * width if column in text else "-" * (width - 1) + ":" for column, width in enumerate(widths)]
    for line in lines:
        line[:] = [
            cell.ljust(width) if column in text else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
    return "\n".join(f"| {' | '.join(line)} |" for line in (lines[0], rule, *lines[1:])) + "\n"


def points(value: float | None) -> str:
    """A number with two decimals."""
    return ABSENT if value is None else f"{value:.2f}"


def plus_minus(value: float, stderr: float | None) -> str:
    """A value and its standard error, in the same unit; the value alone where there is no error."""
    return points(value) if stderr is None else f"{value:.2f} ± {stderr:.2f}"


def millions(count: int | None) -> str:
    """A count in millions, two decimals."""
    return ABSENT if count is None else f"{count / 1e6:.2f}"


def duration(seconds: float | None) -> str:
    """Hours and minutes from one hour on, minutes and seconds below: ``29:05 h``, ``4:07 min``."""
    if seconds is None:
        return ABSENT
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    minutes = round(seconds / 60)
    return f"{minutes // 60}:{minutes % 60:02d} h"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
