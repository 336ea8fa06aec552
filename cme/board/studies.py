"""The table, the data and the figures of a study, beside what is reported for the paper."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from cme.adapters.methods import METHODS
from cme.board.board import Board
from cme.board.study_plot import Point, StudyRow, draw, draw_rates, grid_runs
from cme.frames import csv_text
from cme.leaderboard.ranking.comparison import Standing
from cme.leaderboard.ranking.numbers import estimate, points, shown
from cme.leaderboard.rendering.paper import Paper, load_paper
from cme.records import Entry, GridRun
from cme.records.board import SUITE
from cme.reports import markdown_table
from cme.stats import Estimate
from cme.suite.suites import SUITES

__all__ = ["reported_points", "study_files"]


def study_files(
    board: Board, folder: Path, name: str, standing: Standing, lines: Sequence[tuple[str, float]]
) -> tuple[dict[Path, str], dict[Path, Callable[[], Any]]]:
    """Make the files of a study: ``study.md``, ``study.csv``, ``rates.csv`` and the figures.

    Args:
        board: the board.
        folder: folder of the study.
        name: name of the study.
        standing: the rows of the study with their averages. None of them is missing.
        lines: labels and averages of horizontal lines in the figure.

    Returns:
        The texts, and the functions that draw the figures, by path.
    """
    entries = {entry.name: entry for entry in standing.shown}
    soft = standing.soft.averages if standing.soft else {}
    rows = [
        StudyRow(
            row, entries[row.name], standing.averages[row.name], soft.get(row.name), standing.repeated.get(row.name)
        )
        for row in board.of_study(name)
    ]
    values = board.file.studies[name].vary
    # A setting with one value does not vary. It distinguishes the rows of the study from their method.
    keys = [key for key in values if len(values[key]) > 1] or list(values)
    fixed = {key: of[0] for key, of in values.items() if key not in keys}
    paper = load_paper()
    reported = reported_points(paper, keys, rows) if board.file.suite == SUITE else []
    text = _text(name, keys, fixed, rows) + _rates_text(rows) + _reported_text(paper, keys, reported)
    texts = {
        folder / "study.md": SUITES[board.file.suite].named(text),
        folder / "study.csv": _csv(keys, rows),
        folder / "rates.csv": _rates_csv(keys, rows),
    }
    figures: dict[Path, Callable[[], Any]] = {
        folder / "study.svg": lambda: draw(name, keys, rows, lines, reported, _title(paper, keys))
    }
    if any(grid_runs(item.entry) for item in rows):
        figures[folder / "rates.svg"] = lambda: draw_rates(name, keys, rows)
    return texts, figures


def reported_points(paper: Paper, keys: Sequence[str], rows: Sequence[StudyRow]) -> list[Point]:
    """Return what is reported for the paper about the settings that a study varies.

    The paper's ablation answers a study of TeamLoRA's two modules. Its main rows answer a study of the rank, or of the total
    rank, if one of the study's methods is reported with at least two values.

    Args:
        paper: the reported figures.
        keys: the varied settings.
        rows: the rows of the study.
    """
    methods = list(dict.fromkeys(item.row.adapter.method for item in rows))
    if keys and set(keys) <= {"competition", "collaboration"} and "teamlora" in methods:
        fixed = {key: {getattr(item.row.adapter, key) for item in rows} for key in ("competition", "collaboration")}
        return [
            Point("teamlora", tuple(getattr(row, key) for key in keys), row.average)
            for row in paper.ablation
            if all(getattr(row, key) in values for key, values in fixed.items())
        ]
    if len(keys) != 1 or keys[0] not in ("rank", "total_rank"):
        return []
    points = [
        Point(row.method, (row.rank * _factor(keys[0], row.method, row.experts),), row.average)
        for row in paper.rows
        if row.method in methods
    ]
    values = [{point.values for point in points if point.method == method} for method in methods]
    return points if any(len(of_method) > 1 for of_method in values) else []


def _factor(key: str, method: str, experts: int | None) -> int:
    """Return by what the reported rank is multiplied: that of a method with experts is the rank of one expert."""
    return (experts or 1) if key == "total_rank" and METHODS[method].multiplies else 1


def _text(name: str, keys: Sequence[str], fixed: Mapping[str, Any], rows: Sequence[StudyRow]) -> str:
    varied = [key for key in keys if key != "total_rank"]
    soft = all(item.soft is not None for item in rows)
    repeated = any(item.same_as for item in rows)
    losses = any(_losses(item.entry) for item in rows)
    columns = [
        "name",
        "method",
        *map(_spoken, varied),
        "total rank",
        "learning rate",
        "trainable %",
        "seeds",
        "CME average",
        *(["soft average"] if soft else []),
        *(["validation loss"] if losses else []),
        *(["remark"] if repeated else []),
    ]
    lines = [
        [
            item.row.name,
            item.row.adapter.method,
            *(shown(item.row.values[key]) for key in varied),
            str(item.row.total_rank),
            _rate(item.entry),
            points(item.entry.runs[0].cost.trainable_share),
            str(len(item.entry.runs)),
            estimate(item.score),
            *([estimate(item.soft)] if soft else []),
            *([_mean_loss(item.entry)] if losses else []),
            *([f"the same trainings as {item.same_as}" if item.same_as else ""] if repeated else []),
        ]
        for item in rows
    ]
    edge = any(item.entry.lr_grid and item.entry.lr_grid.at_edge for item in rows)
    note = "\n\\* The rate is at the edge of the grid, so a better one may lie outside.\n" if edge else ""
    same = "".join(f" All have {_spoken(key)} {shown(value)}." for key, value in fixed.items())
    interval = " Brackets hold 95 % intervals." if any(item.score.low is not None for item in rows) else ""
    several = (
        ", with the lowest and the highest in parentheses" if any(len(_losses(item.entry)) > 1 for item in rows) else ""
    )
    trained = f" The validation loss is the mean over the trainings, in nats per token{several}." if losses else ""
    return (
        f"# Study: {name}\n\nRows of the same method differ only in {_listing(keys)}.{same}{interval}{trained}\n\n"
        f"{markdown_table(columns, lines)}\n{note}"
    )


def _rates_text(rows: Sequence[StudyRow]) -> str:
    """Return the tables of the validation losses and of the gradient norms by learning rate, for rows with a grid."""
    runs = {item.row.name: grid_runs(item.entry) for item in rows if grid_runs(item.entry)}
    if not runs:
        return ""
    rates = sorted({rate for own in runs.values() for rate in own})

    def table(cell: Callable[[GridRun], str]) -> str:
        lines = [[name, *(cell(own[rate]) if rate in own else "" for rate in rates)] for name, own in runs.items()]
        return markdown_table(["name", *(shown(rate) for rate in rates)], lines)

    steps = sorted({item.entry.lr_grid.steps for item in rows if item.entry.lr_grid})
    text = (
        f"\n## Learning rates\n\nValidation loss of each learning rate after {' or '.join(map(str, steps))} steps. "
        f"The rate with the lowest loss is that of the row.\n\n{table(_loss)}\n"
    )
    if any(run.grad_norm is not None for own in runs.values() for run in own.values()):
        text += (
            "\nMedian norm of the gradient over the logged steps of the same runs, before clipping.\n\n"
            f"{table(lambda run: '' if run.grad_norm is None else f'{run.grad_norm:.3g}')}\n"
        )
    return text


def _loss(run: GridRun) -> str:
    return "diverged" if run.validation_loss is None else f"{run.validation_loss:.3f}"


def _losses(entry: Entry) -> list[float]:
    """Return the validation loss of every training of a row, or nothing if one has none."""
    losses = [run.provenance.training.validation_loss for run in entry.runs]
    return [loss for loss in losses if loss is not None] if None not in losses else []


def _mean_loss(entry: Entry) -> str:
    losses = _losses(entry)
    if not losses:
        return "–"
    spread = f" ({min(losses):.3f} to {max(losses):.3f})" if len(losses) > 1 else ""
    return f"{mean(losses):.3f}{spread}"


def _reported_text(paper: Paper, keys: Sequence[str], reported: Sequence[Point]) -> str:
    if not reported:
        return ""
    lines = [[point.method, *(shown(value) for value in point.values), points(point.average)] for point in reported]
    assumed = (
        " The number of experts is not reported with them. Four are assumed, so the total rank of a method with experts is four "
        "times the reported rank."
        if "total_rank" in keys
        else ""
    )
    return (
        f"\n## Reported for the paper\n\nThese averages are reported for {paper.base}, without intervals. They were "
        f"not measured with CME. Only their differences can be compared with those above.{assumed}\n\n"
        f"{markdown_table(['method', *map(_spoken, keys), 'average'], lines)}\n"
    )


def _title(paper: Paper, keys: Sequence[str]) -> str:
    assumed = ", four experts assumed" if "total_rank" in keys else ""
    return f"Reported for {paper.base}, without intervals{assumed}"


def _rate(entry: Entry) -> str:
    edge = "\\*" if entry.lr_grid and entry.lr_grid.at_edge else ""
    return f"{shown(entry.recipe.learning_rate)}{edge}"


def _csv(keys: Sequence[str], rows: Sequence[StudyRow]) -> str:
    varied = [key for key in keys if key != "total_rank"]
    columns = ["name", "method", "row", *varied, "total_rank", "learning_rate", "at_edge", "seeds", "average", "stderr"]
    columns += ["low", "high", "soft_average", "soft_stderr", "soft_low", "soft_high"]
    columns += ["validation_loss", "validation_loss_min", "validation_loss_max", "same_as"]
    lines = [
        [
            item.row.name,
            item.row.adapter.method,
            item.row.method_row,
            *(item.row.values[key] for key in varied),
            item.row.total_rank,
            item.entry.recipe.learning_rate,
            item.entry.lr_grid.at_edge if item.entry.lr_grid else None,
            len(item.entry.runs),
            *_numbers(item.score),
            *_numbers(item.soft),
            *(_rounded([mean(losses), min(losses), max(losses)]) if (losses := _losses(item.entry)) else (None,) * 3),
            item.same_as,
        ]
        for item in rows
    ]
    return csv_text(columns, lines)


def _rates_csv(keys: Sequence[str], rows: Sequence[StudyRow]) -> str:
    lines = [
        [
            item.row.name,
            item.row.adapter.method,
            item.row.method_row,
            *(item.row.values[key] for key in keys),
            rate,
            run.validation_loss,
            run.last_loss,
            run.grad_norm,
            run.problem,
        ]
        for item in rows
        for rate, run in grid_runs(item.entry).items()
    ]
    columns = ["name", "method", "row", *keys, "learning_rate", "validation_loss", "last_loss", "grad_norm", "problem"]
    return csv_text(columns, lines)


def _numbers(score: Estimate | None) -> list[float | None]:
    values = (None,) * 4 if score is None else (score.value, score.stderr, score.low, score.high)
    return _rounded(values)


def _rounded(values: Sequence[float | None]) -> list[float | None]:
    return [None if value is None else round(value, 6) for value in values]


def _listing(keys: Sequence[str]) -> str:
    return ", ".join(map(_spoken, keys))


def _spoken(key: str) -> str:
    return key.replace("_", " ")
