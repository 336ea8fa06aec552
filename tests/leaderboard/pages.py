"""Reads the tables of a rendered page."""

import re

from cme.leaderboard import load_entries, load_paper, render
from cme.leaderboard.ranking.comparison import Standing, make_standing
from tests.leaderboard.workshop import Workshop


def tables(page: str) -> list[list[list[str]]]:
    """Every Markdown table of a page as rows of cells, the rule under the header left out."""
    found = []
    for block in re.findall(r"(?:^\|.*\|\n)+", page, flags=re.M):
        rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in block.splitlines()]
        assert all(re.fullmatch(r"-{2,}[-:]", cell) for cell in rows[1])
        found.append([rows[0], *rows[2:]])
    return found


def standing_of(board: Workshop, **other) -> Standing:
    return make_standing(load_entries(board.entries), board.entries, resamples=400, **other)


def page_of(board: Workshop) -> str:
    return render(standing_of(board), load_paper())["leaderboard.md"]


def close(cell: str, value: float) -> bool:
    """Whether a cell shows this value, rounded to two decimals, with or without an interval."""
    return abs(float(cell.split(" ")[0]) - value) < 0.005 + 1e-6
