"""What a leaderboard says, before any format: sections of sentences and tables, all of it plain text."""

from collections.abc import Sequence
from dataclasses import dataclass

from cme.leaderboard.entries.escape import clip

__all__ = ["Section", "Table", "make_table"]


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes:
        header: one word or more per column.
        rows: as many cells each as the header.
        text: indices of the columns that are aligned to the left; the others hold numbers.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    text: frozenset[int]


@dataclass(frozen=True)
class Section:
    """A part of the leaderboard.

    Attributes:
        title: empty for the opening one.
        said: the paragraph before the table.
        table: None where sentences are all.
        listed: sentences after the table, one a line.
        level: of the title: 2, or 3 for a part of the section before.
        source: an address to read more at, from a file of ours.
    """

    title: str
    said: str = ""
    table: Table | None = None
    listed: tuple[str, ...] = ()
    level: int = 2
    source: str = ""


def make_table(header: Sequence[str], rows: Sequence[Sequence[str]], text: Sequence[int] = (0,)) -> Table:
    """A table whose cells have a bounded length."""
    return Table(
        tuple(clip(cell) for cell in header),
        tuple(tuple(clip(cell) for cell in row) for row in rows),
        frozenset(text),
    )
