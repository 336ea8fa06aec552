"""What a board shows beside its tables: a table and a figure for each study, and the order of the rows on several bases."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from cme.board.board import Base, Board
from cme.board.order import Agreement, agreement
from cme.board.study_plot import StudyRow, draw
from cme.extras import optional
from cme.files import write_text
from cme.frames import csv_text
from cme.leaderboard import load_entries, make_standing
from cme.leaderboard.ranking.comparison import Standing
from cme.leaderboard.ranking.numbers import estimate, points, shown
from cme.leaderboard.ranking.tuned import tuned_lines
from cme.records import Entry
from cme.reports import markdown_table, write_figure
from cme.stats import Estimate
from cme.suite.suites import SUITES

__all__ = ["write_tables"]


def write_tables(board: Board) -> list[Path]:
    """Write the tables and figures of the studies, and the order of the rows on several bases.

    Args:
        board: the board. Its entries must be complete.

    Returns:
        The files written.

    Raises:
        CMEError: an entry is missing or damaged.
    """
    written: list[Path] = []
    standings: dict[str, Standing] = {}
    for base in board.bases:
        standings[base.label] = _standing(board, base, None)
        for name in board.file.studies:
            written += _write_study(board, base, name, tuned_lines(standings[base.label]))
    if len(board.bases) > 1:
        written += _write_order(board, standings)
    return written


def _folder(board: Board, base: Base, study: str | None) -> Path:
    return board.out / base.prefix / (f"studies/{study}" if study else "")


def _standing(board: Board, base: Base, study: str | None) -> Standing:
    entries = _folder(board, base, study) / "entries"
    return make_standing(load_entries(entries), entries)


def _write_study(board: Board, base: Base, name: str, lines: Sequence[tuple[str, float]]) -> Iterator[Path]:
    standing, folder = _standing(board, base, name), _folder(board, base, name)
    entries = {entry.name: entry for entry in standing.rows}
    rows = [
        StudyRow(row, entries[row.name], standing.averages[row.name])
        for row in board.of_study(name)
        if row.name in entries
    ]
    keys = list(board.file.studies[name].vary)
    write_text(folder / "study.md", SUITES[board.file.suite].named(_study_text(name, keys, rows)))
    write_text(folder / "study.csv", _study_csv(keys, rows))
    yield from (folder / "study.md", folder / "study.csv")
    with optional("The same numbers are in study.csv."):
        write_figure(lambda: draw(name, keys, rows, lines), folder / "study.svg")
        yield folder / "study.svg"


def _study_text(name: str, keys: Sequence[str], rows: Sequence[StudyRow]) -> str:
    columns = ["name", "method", *keys, "total rank", "learning rate", "trainable %", "seeds", "CME average"]
    lines = [
        [
            item.row.name,
            item.row.adapter.method,
            *(shown(item.row.values[key]) for key in keys),
            str(item.row.total_rank),
            _rate(item.entry),
            points(item.entry.runs[0].cost.trainable_share),
            str(len(item.entry.runs)),
            estimate(item.score),
        ]
        for item in rows
    ]
    edge = any(item.entry.lr_grid and item.entry.lr_grid.at_edge for item in rows)
    note = "\n\\* The rate is at the edge of the grid, so a better one may lie outside.\n" if edge else ""
    interval = " The brackets hold its interval." if any(item.score.low is not None for item in rows) else ""
    return (
        f"# Study: {name}\n\nRows of the same method differ only in {_listing(keys)}. The last column is the CME average."
        f"{interval}\n\n"
        f"{markdown_table(columns, lines)}\n{note}"
    )


def _rate(entry: Entry) -> str:
    edge = "\\*" if entry.lr_grid and entry.lr_grid.at_edge else ""
    return f"{shown(entry.recipe.learning_rate)}{edge}"


def _study_csv(keys: Sequence[str], rows: Sequence[StudyRow]) -> str:
    columns = ["name", "method", "row", *keys, "total_rank", "learning_rate", "at_edge", "seeds", "average", "stderr"]
    columns += ["low", "high"]
    lines = [
        [
            item.row.name,
            item.row.adapter.method,
            item.row.method_row,
            *(item.row.values[key] for key in keys),
            item.row.total_rank,
            item.entry.recipe.learning_rate,
            item.entry.lr_grid.at_edge if item.entry.lr_grid else None,
            len(item.entry.runs),
            *(None if value is None else round(value, 6) for value in _numbers(item.score)),
        ]
        for item in rows
    ]
    return csv_text(columns, lines)


def _numbers(score: Estimate) -> tuple[float | None, ...]:
    return score.value, score.stderr, score.low, score.high


def _listing(keys: Sequence[str]) -> str:
    return ", ".join(key.replace("_", " ") for key in keys)


def _write_order(board: Board, standings: Mapping[str, Standing]) -> Iterator[Path]:
    """Write whether the order of the methods is the same on all bases."""
    names = [row.name for row in board.methods]
    scores = {label: {name: standing.averages[name] for name in names} for label, standing in standings.items()}
    labels = list(scores)
    pairs = [
        (first, second, agreement([scores[first][name] for name in names], [scores[second][name] for name in names]))
        for place, first in enumerate(labels)
        for second in labels[place + 1 :]
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
    write_text(board.out / "order.md", text)
    columns = ["base", "other_base", "methods", "rank_correlation", "low", "high"]
    values = [[first, second, item.rows, item.value, item.low, item.high] for first, second, item in pairs]
    write_text(board.out / "order.csv", csv_text(columns, values))
    yield from (board.out / "order.md", board.out / "order.csv")


def _correlation(item: Agreement) -> str:
    if item.value is None:
        return "unknown"
    return f"{item.value:.2f}" + ("" if item.low is None else f" [{item.low:.2f}, {item.high:.2f}]")
