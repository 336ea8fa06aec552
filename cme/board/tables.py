"""What a board shows beside its tables: a table and a figure for each study, and the order of the rows on several bases."""

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cme.board.board import Base, Board
from cme.board.order import correlations, decision, on_two_bases, order_text
from cme.board.studies import study_files
from cme.errors import CMEError
from cme.extras import optional
from cme.files import write_text
from cme.frames import csv_text
from cme.leaderboard import load_entries, make_standing
from cme.leaderboard.ranking.comparison import Standing
from cme.leaderboard.ranking.tuned import tuned_lines
from cme.reports import write_figure
from cme.suite.suites import SUITES

__all__ = ["stale_tables", "write_tables"]


def write_tables(board: Board) -> list[Path]:
    """Write the tables and figures of the studies, and the order of the rows on several bases.

    Args:
        board: the board. Its entries must be complete.

    Returns:
        The files written.

    Raises:
        CMEError: an entry is missing or damaged. The tables that need other entries only are written before.
    """
    texts, figures, missing = _files(board)
    for path, text in texts.items():
        write_text(path, text)
    written = list(texts)
    if not missing:
        for path in _left_over(board, figures):
            path.unlink()
    with optional("The same numbers are in study.csv and rates.csv."):
        for path, draw in figures.items():
            write_figure(draw, path)
            written.append(path)
    if missing:
        others = f" {len(written)} files of complete tables were written." if written else ""
        raise CMEError(f"{' '.join(missing)}{others} Run: cme board run")
    return written


def stale_tables(board: Board) -> list[Path]:
    """List the files that are missing, and the tables that `write_tables` would write differently.

    Figures depend on the version of matplotlib, so a figure that exists is not compared. Without matplotlib, none is missed.
    A study or a base without any entry has not begun, and is left out.

    Args:
        board: the board. The entries of what has begun must be complete.

    Raises:
        CMEError: an entry is missing or damaged.
    """
    texts, figures, missing = _files(board, begun=True)
    if not texts:  # nothing has begun
        missing = _files(board)[2]
    if missing:
        raise CMEError(f"{' '.join(missing)} Run: cme board run")
    stale = [path for path, text in texts.items() if not path.is_file() or path.read_bytes() != text.encode()]
    drawn = importlib.util.find_spec("matplotlib") is not None
    return stale + [path for path in figures if drawn and not path.is_file()] + _left_over(board, figures)


def _left_over(board: Board, figures: Mapping[Path, object]) -> list[Path]:
    """List the figures of studies that are no longer made, such as those of grids that are gone."""
    folders = [_folder(board, base, name) for base in board.bases for name in board.file.studies]
    files = (folder / name for folder in folders for name in ("study.svg", "rates.svg"))
    return [file for file in files if file.is_file() and file not in figures]


def _files(board: Board, *, begun: bool = False) -> tuple[dict[Path, str], dict[Path, Callable[[], Any]], list[str]]:
    """Make the texts and figures by path, and the sentences about entries that are missing.

    Args:
        board: the board.
        begun: whether to leave out studies and bases without any entry.
    """
    texts: dict[Path, str] = {}
    figures: dict[Path, Callable[[], Any]] = {}
    missing: list[str] = []
    standings: dict[str, Standing] = {}
    for base in board.bases:
        standings[base.label] = _standing(board, base, None)
        for name in board.file.studies:
            folder, lines = _folder(board, base, name), tuned_lines(standings[base.label])
            standing = _standing(board, base, name)
            if begun and not standing.shown:
                continue
            if lacking := _lacking(standing, [row.name for row in board.of_study(name)]):
                missing.append(f"{folder / 'entries'} lacks {lacking}, so the study {name} has no tables.")
                continue
            of_study = study_files(board, folder, name, standing, lines)
            texts |= of_study[0]
            figures |= of_study[1]
    if len(board.bases) > 1 and not (begun and any(not standing.shown for standing in standings.values())):
        names = [row.name for row in board.methods]
        without = {label: rows for label, standing in standings.items() if (rows := _lacking(standing, names))}
        missing += [f"The base {label} lacks {rows}, so there is no order.md." for label, rows in without.items()]
        if not without:
            texts |= _order(board, standings, names)
    return texts, figures, missing


def _lacking(standing: Standing, names: Sequence[str]) -> str:
    held = {row.name for row in standing.shown}
    return ", ".join(name for name in names if name not in held)


def _folder(board: Board, base: Base, study: str | None) -> Path:
    return board.out / base.prefix / (f"studies/{study}" if study else "")


def _standing(board: Board, base: Base, study: str | None) -> Standing:
    entries = _folder(board, base, study) / "entries"
    if not entries.is_dir():
        return make_standing([], entries)
    return make_standing(load_entries(entries), entries)


def _order(board: Board, standings: Mapping[str, Standing], names: Sequence[str]) -> dict[Path, str]:
    """Return the files that say whether the order of the methods is the same on all bases."""
    of_bases = [[base, other, item.rows, item.value] for base, other, item in correlations(standings, names)]
    of_pairs = [
        [
            *(item.one.first, item.one.second, item.metric),
            *(item.base, item.one.value, item.one.low, item.one.high, item.one.p_adjusted),
            *(item.other_base, item.other.value, item.other.low, item.other.high, item.other.p_adjusted),
            decision(item),
        ]
        for item in on_two_bases(standings, names)
    ]
    numbers = ("difference", "low", "high", "p_adjusted")
    columns = ["first", "second", "metric", "base", *numbers, "other_base", *(f"other_{name}" for name in numbers)]
    texts = {
        "order.md": order_text(SUITES[board.file.suite].average, standings, names),
        "order.csv": csv_text(["base", "other_base", "methods", "rank_correlation"], of_bases),
        "order-pairs.csv": csv_text([*columns, "same_order"], of_pairs),
    }
    return {board.out / name: text for name, text in texts.items()}
