"""Content of a leaderboard independent of its format: sections of plain sentences and tables."""

from collections.abc import Sequence
from dataclasses import dataclass

from cme.leaderboard.entries.escape import clip

__all__ = ["Section", "Table", "make_table"]


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes:
        header: names of the columns.
        rows: cells of each row, one for each column.
        text: indices of the columns that are aligned to the left. The other columns hold numbers.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    text: frozenset[int]


@dataclass(frozen=True)
class Section:
    """A section of the leaderboard.

    Attributes:
        title: heading; empty for the first section.
        paragraph: text before the table.
        table: the table, or None.
        bullets: sentences after the table, shown as a list.
        level: level of the heading: 2, or 3 for a subsection of the section before.
        source: URL of the source. It comes from CME's own files.
    """

    title: str
    paragraph: str = ""
    table: Table | None = None
    bullets: tuple[str, ...] = ()
    level: int = 2
    source: str = ""


def make_table(header: Sequence[str], rows: Sequence[Sequence[str]], text: Sequence[int] = (0,)) -> Table:
    """Make a table whose cells are shortened to a bounded length."""
    return Table(
        tuple(clip(cell) for cell in header),
        tuple(tuple(clip(cell) for cell in row) for row in rows),
        frozenset(text),
    )
