"""The tables of a study: what its grids measured, and what is reported for the paper beside it."""

import csv
import io
import shutil

import pytest

import cme
from cme.board.studies import reported_points
from cme.board.study_plot import StudyRow
from cme.leaderboard.rendering.paper import load_paper
from cme.records import Grid, GridRun, write_record
from cme.records.grid import folder_of
from tests.board.fakes import make_board, write_board
from tests.leaderboard.workshop import Workshop

LOSSES = {1e-4: 2.5, 2e-4: 2.25, 4e-4: None}
NORMS = {1e-4: 0.5, 2e-4: 1.75, 4e-4: None}
METHODS = "{lora: {settings: {rank: 32}}, team: {settings: {method: teamlora, rank: 8, experts: 4}}}"


def write_grid(folder, norms=NORMS):
    runs = tuple(
        GridRun(
            learning_rate=rate, folder=folder_of(rate), validation_loss=loss, last_loss=loss,
            problem=None if loss else "diverged", grad_norm=norms[rate],
        )
        for rate, loss in LOSSES.items()
    )  # fmt: skip
    grid = Grid(method="lora", steps=50, runs=runs, best=folder_of(2e-4), learning_rate=2e-4)
    write_record(folder / "lr-grid.json", grid)
    return folder


def ranks_board(root, *, norms=NORMS, study="{of: [lora, team], vary: {total_rank: [32, 64]}}", methods=METHODS):
    """A board whose study has entries, with a grid of its own for the rows of LoRA."""
    path = write_board(root, methods=methods, studies=f"{{ranks: {study}}}")
    workshop = Workshop(root / "board")
    for row in make_board(root, methods=methods, studies=f"{{ranks: {study}}}").of_study("ranks"):
        method = row.adapter.method
        grid = write_grid(root / row.name, norms) if method == "lora" else None
        settings = {"rank": row.adapter.rank, "alpha": float(row.adapter.lora_alpha)} if method == "lora" else {}
        workshop.row(row.name, method, 0.6, seeds=(0, 1), names=("qqp", "rte"), grid=grid, settings=settings)
    shutil.copytree(workshop.root / "board", root / "out" / "studies" / "ranks", dirs_exist_ok=True)
    shutil.copytree(workshop.root / "board", root / "out", dirs_exist_ok=True)
    cme.board_tables(path)
    return root / "out" / "studies" / "ranks"


def lines_of(text, first):
    """The lines of the Markdown table in ``text`` whose head begins with ``first``."""
    lines = text[text.index(first) :].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_losses_and_gradients_of_every_rate_are_shown(tmp_path):
    folder = ranks_board(tmp_path)
    text = (folder / "study.md").read_text()
    assert "Validation loss of each learning rate after 50 steps." in text
    losses, norms = (lines_of(part, "| name") for part in text.split("## Learning rates")[1].split("Median norm"))
    assert losses[0] == ["name", "0.0001", "0.0002", "0.0004"] == norms[0]
    assert losses[2:] == [[f"lora-ranks-{rank}", "2.500", "2.250", "diverged"] for rank in (32, 64)]
    assert norms[2:] == [[f"lora-ranks-{rank}", "0.5", "1.75", ""] for rank in (32, 64)]
    rows = list(csv.DictReader(io.StringIO((folder / "rates.csv").read_text())))
    assert [(row["total_rank"], row["learning_rate"], row["grad_norm"]) for row in rows[:3]] == [
        ("32", "0.0001", "0.5"),
        ("32", "0.0002", "1.75"),
        ("32", "0.0004", ""),
    ]
    assert len(rows) == 6 and rows[2]["problem"] == "diverged"
    assert b"validation loss" in (folder / "rates.svg").read_bytes()


def test_grids_without_gradients_have_no_table_of_them(tmp_path):
    text = (ranks_board(tmp_path, norms=dict.fromkeys(LOSSES)) / "study.md").read_text()
    assert "## Learning rates" in text and "Median norm" not in text


def test_the_reported_averages_stand_beside_the_study_and_are_marked(tmp_path):
    folder = ranks_board(tmp_path)
    text = (folder / "study.md").read_text().split("## Reported for the paper")[1]
    assert "They were not measured with CME" in text
    assert lines_of(text, "| method")[2:] == [
        ["lora", "32", "57.44"],
        ["lora", "128", "58.81"],
        ["teamlora", "128", "60.29"],
        ["teamlora", "64", "59.95"],
    ]
    assert b"Reported for Chinese-LLaMA-2-7B, without intervals" in (folder / "study.svg").read_bytes()


def study_rows(root, study, methods=METHODS):
    board = make_board(root, methods=methods, studies=f"{{s: {study}}}")
    return [StudyRow(row, None, None) for row in board.of_study("s")]


@pytest.mark.parametrize(
    ("study", "expected"),
    [
        ("{of: team, vary: {rank: [4, 8]}}", {("teamlora", (32,), 60.29), ("teamlora", (16,), 59.95)}),
        ("{of: team, vary: {experts: [2, 4]}}", set()),
        ("{of: lora, vary: {dropout: [0.0, 0.1]}}", set()),
        (
            "{of: team, vary: {competition: [true, false], collaboration: [true, false]}}",
            {
                ("teamlora", (False, False), 59.69),
                ("teamlora", (False, True), 59.77),
                ("teamlora", (True, False), 60.24),
                ("teamlora", (True, True), 60.29),
            },
        ),
    ],
)
def test_which_reported_averages_answer_a_study(tmp_path, study, expected):
    rows = study_rows(tmp_path, study)
    points = reported_points(load_paper(), list(rows[0].row.values), rows)
    assert {(point.method, point.values, point.average) for point in points} == expected


def test_one_reported_value_alone_is_no_study(tmp_path):
    """HydraLoRA and MoELoRA are reported with one rank each."""
    rows = study_rows(tmp_path, "{of: moe, vary: {total_rank: [8, 16]}}", "{moe: {settings: {method: moelora}}}")
    assert reported_points(load_paper(), ["total_rank"], rows) == []
