"""What a board shows beside its tables: a table and a figure for each study, and the order of the rows on several bases."""

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cme.board.board import Base, Board
from cme.board.order import Agreement, agreement
from cme.board.studies import study_files
from cme.extras import optional
from cme.files import write_text
from cme.frames import csv_text
from cme.leaderboard import load_entries, make_standing
from cme.leaderboard.ranking.comparison import Standing
from cme.leaderboard.ranking.numbers import estimate
from cme.leaderboard.ranking.tuned import tuned_lines
from cme.reports import markdown_table, write_figure
from cme.suite.suites import SUITES

__all__ = ["stale_tables", "write_tables"]


def write_tables(board: Board) -> list[Path]:
    """Write the tables and figures of the studies, and the order of the rows on several bases.

    Args:
        board: the board. Its entries must be complete.

    Returns:
        The files written.

    Raises:
        CMEError: an entry is missing or damaged.
    """
    texts, figures = _files(board)
    for path, text in texts.items():
        write_text(path, text)
    written = list(texts)
    for path in _left_over(board, figures):
        path.unlink()
    with optional("The same numbers are in study.csv and rates.csv."):
        for path, draw in figures.items():
            write_figure(draw, path)
            written.append(path)
    return written


def stale_tables(board: Board) -> list[Path]:
    """List the files that are missing, and the tables that `write_tables` would write differently.

    Figures depend on the version of matplotlib, so a figure that exists is not compared. Without matplotlib, none is missed.

    Args:
        board: the board. Its entries must be complete.

    Raises:
        CMEError: an entry is missing or damaged.
    """
    texts, figures = _files(board)
    stale = [path for path, text in texts.items() if not path.is_file() or path.read_bytes() != text.encode()]
    drawn = importlib.util.find_spec("matplotlib") is not None
    return stale + [path for path in figures if drawn and not path.is_file()] + _left_over(board, figures)


def _left_over(board: Board, figures: Mapping[Path, object]) -> list[Path]:
    """List the figures of studies that are no longer made, such as those of grids that are gone."""
    folders = [_folder(board, base, name) for base in board.bases for name in board.file.studies]
    files = (folder / name for folder in folders for name in ("study.svg", "rates.svg"))
    return [file for file in files if file.is_file() and file not in figures]


def _files(board: Board) -> tuple[dict[Path, str], dict[Path, Callable[[], Any]]]:
    texts: dict[Path, str] = {}
    figures: dict[Path, Callable[[], Any]] = {}
    standings: dict[str, Standing] = {}
    for base in board.bases:
        standings[base.label] = _standing(board, base, None)
        for name in board.file.studies:
            folder, lines = _folder(board, base, name), tuned_lines(standings[base.label])
            of_study = study_files(board, folder, name, _standing(board, base, name), lines)
            texts |= of_study[0]
            figures |= of_study[1]
    if len(board.bases) > 1:
        texts |= _order(board, standings)
    return texts, figures


def _folder(board: Board, base: Base, study: str | None) -> Path:
    return board.out / base.prefix / (f"studies/{study}" if study else "")


def _standing(board: Board, base: Base, study: str | None) -> Standing:
    entries = _folder(board, base, study) / "entries"
    return make_standing(load_entries(entries), entries)


def _order(board: Board, standings: Mapping[str, Standing]) -> dict[Path, str]:
    """Return the files that say whether the order of the methods is the same on all bases."""
    names = [row.name for row in board.methods]
    scores = {label: {name: standing.averages[name] for name in names} for label, standing in standings.items()}
    labels = list(scores)

    def agree(first: str, second: str) -> Agreement:
        # A row with the same trainings as another one has the same place, and is no evidence of its own.
        repeated = {*standings[first].repeated, *standings[second].repeated}
        own = [name for name in names if name not in repeated]
        return agreement([scores[first][name] for name in own], [scores[second][name] for name in own])

    pairs = [
        (first, second, agree(first, second)) for place, first in enumerate(labels) for second in labels[place + 1 :]
    ]
    table = [[name, *(estimate(scores[label][name]) for label in labels)] for name in names]
    ranks = [[first, second, str(item.rows), _correlation(item)] for first, second, item in pairs]
    text = (
        f"# Does the order hold?\n\n{SUITES[board.file.suite].average}s of the methods on each base.\n\n"
        f"{markdown_table(['name', *labels], table)}\n\n"
        "Spearman's rank correlation of the averages on two bases. 1 means the same order, 0 means no relation. The interval "
        "shows how much of it is due to samples and seeds: the averages are drawn 10,000 times from their standard errors.\n\n"
        f"{markdown_table(['base', 'other base', 'methods', 'rank correlation'], ranks)}\n"
    )
    columns = ["base", "other_base", "methods", "rank_correlation", "low", "high"]
    values = [[first, second, item.rows, item.value, item.low, item.high] for first, second, item in pairs]
    return {board.out / "order.md": text, board.out / "order.csv": csv_text(columns, values)}


def _correlation(item: Agreement) -> str:
    if item.value is None:
        return "unknown"
    return f"{item.value:.2f}" + ("" if item.low is None else f" [{item.low:.2f}, {item.high:.2f}]")
