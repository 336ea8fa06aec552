"""The tables of a study: what its grids measured, and what is reported for the paper beside it."""

import csv
import io
import json
import math
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest

import cme
from cme.adapters.settings import AdapterSettings
from cme.board.rows import Row
from cme.board.studies import reported_points
from cme.board.study_plot import Point, StudyRow, draw, draw_rates
from cme.errors import CMEError
from cme.leaderboard.rendering.paper import load_paper
from cme.records import Grid, GridRun, read_record, write_record
from cme.records.grid import folder_of
from tests.board.fakes import make_board, write_board
from tests.leaderboard.workshop import Workshop

LOSSES = {1e-4: 2.5, 2e-4: 2.25, 4e-4: None}
NORMS = {1e-4: 0.5, 2e-4: 1.75, 4e-4: None}
ADAPTERS = {"lora": AdapterSettings("lora"), "team": AdapterSettings("teamlora")}
ADAPTERS |= {name: AdapterSettings(name) for name in ("moelora", "hydralora", "mola", "adamole", "comol")}
SCORE = SimpleNamespace(value=50.0, low=48.0, high=52.0)
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
    root.mkdir(exist_ok=True)
    path = write_board(root, methods=methods, studies=f"{{ranks: {study}}}")
    workshop = Workshop(root / "board")
    for row in make_board(root, methods=methods, studies=f"{{ranks: {study}}}").of_study("ranks"):
        method = row.adapter.method
        grid = write_grid(root / row.name, norms) if method == "lora" else None
        settings = {"rank": row.adapter.rank, "alpha": float(row.adapter.lora_alpha)} if method == "lora" else {}
        if method == "smora":
            settings = {"rank": row.adapter.rank, "options": row.adapter.options}
        workshop.row(row.name, method, 0.6, seeds=(0, 1), names=("qqp", "rte"), grid=grid, settings=settings)
    shutil.copytree(workshop.root / "board", root / "out" / "studies" / "ranks", dirs_exist_ok=True)
    shutil.copytree(workshop.root / "board", root / "out", dirs_exist_ok=True)
    cme.board_tables(path)
    return root / "out" / "studies" / "ranks"


def lines_of(text, first):
    """The lines of the Markdown table in ``text`` whose head begins with ``first``."""
    lines = text[text.index(first) :].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_validation_loss_of_the_trainings_is_shown(tmp_path):
    folder = ranks_board(tmp_path)
    assert "validation loss" not in lines_of((folder / "study.md").read_text(), "| name")[0]
    for entry in (folder / "entries").glob("*-32.json"):
        values = json.loads(entry.read_text())
        for run, loss in zip(values["runs"], (0.5, 0.25), strict=True):
            run["provenance"]["training"]["validation_loss"] = loss
        entry.write_text(json.dumps(values))
    cme.board_tables(tmp_path / "board.yaml")
    text = (folder / "study.md").read_text()
    assert "in nats per token, with the lowest and the highest in parentheses" in " ".join(text.split())
    head, _, *lines = lines_of(text, "| name")
    cells = [line[head.index("validation loss")] for line in lines]
    assert cells == ["0.375 (0.250 to 0.500)", "–", "0.375 (0.250 to 0.500)", "–"]
    rows = list(csv.DictReader(io.StringIO((folder / "study.csv").read_text())))
    names = ("validation_loss", "validation_loss_min", "validation_loss_max")
    assert [[row[name] for name in names] for row in rows[:2]] == [["0.375", "0.25", "0.5"], ["", "", ""]]


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
    assert "Four are assumed, so the total rank of a method with experts is four times the reported rank." in text
    figure = (folder / "study.svg").read_text()
    assert ">Reported for Chinese-LLaMA-2-7B, without<" in figure and ">intervals, four experts assumed<" in figure


def test_a_setting_with_one_value_does_not_vary(tmp_path):
    study = "{of: team, vary: {competition: [true, false], gate_sum: [1]}}"
    folder = ranks_board(tmp_path, methods="{team: {settings: {method: teamlora, rank: 8, experts: 4}}}", study=study)
    text = (folder / "study.md").read_text()
    assert "Rows of the same method differ only in competition. All have gate sum 1." in text
    assert lines_of(text, "| name")[0][:3] == ["name", "method", "competition"] and "| gate sum |" not in text
    assert lines_of(text.split("## Reported")[1], "| method")[2:] == [
        ["teamlora", "off", "59.77"],
        ["teamlora", "on", "60.29"],
    ]


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
            "{of: team, vary: {competition: [true, false]}}",
            {("teamlora", (False,), 59.77), ("teamlora", (True,), 60.29)},
        ),
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


def test_the_papers_averages_stand_beside_studies_of_its_suite_only(tmp_path, monkeypatch):
    monkeypatch.setattr("cme.board.studies.SUITE", "another suite")
    folder = ranks_board(tmp_path)
    assert "Reported" not in (folder / "study.md").read_text() + (folder / "study.svg").read_text()


def lines_in(panel):
    """The drawn lines of the methods: label, x and y."""
    return {bars.get_label(): bars.lines[0].get_xydata() for bars in panel.containers}


def drawn(keys, values, methods=("lora", "team"), reported=()):
    """Draw a study whose rows have the average 50, and the methods in this order."""
    rows = []
    for method in methods:
        for value in values:
            row = Row(f"{method}-{value}", None, {}, None, ADAPTERS[method], (0,), method_row=method)
            rows.append(StudyRow(replace(row, values=dict(zip(keys, value, strict=True))), None, SCORE))
    return draw("s", keys, rows, (), reported, "Reported")


def test_points_of_methods_stand_beside_each_other(tmp_path):
    figure = drawn(["total_rank"], [(32,), (33,), (256,)], tuple(ADAPTERS))
    (panel,) = figure.axes
    assert panel.get_xscale() == "log"
    x = {name: points[:, 0] for name, points in lines_in(panel).items()}
    assert len({round(values[0], 6) for values in x.values()}) == len(ADAPTERS)
    assert max(values[0] for values in x.values()) < min(values[1] for values in x.values())
    looks = {(bars.lines[0].get_color(), bars.lines[0].get_marker()) for bars in panel.containers}
    assert len(looks) == len(ADAPTERS), "every method has another look"


def test_both_panels_have_the_same_order_of_places():
    keys = ["competition", "collaboration"]
    places = [(True, True), (True, False), (False, True), (False, False)]
    reported = [Point("teamlora", place, 60.0 + number) for number, place in enumerate(reversed(places))]
    left, right = drawn(keys, places, ("team",), reported).axes
    texts = [[label.get_text() for label in panel.get_xticklabels()] for panel in (left, right)]
    assert texts[0] == texts[1] and len(texts[0]) == 4
    assert list(lines_in(right)["team"][:, 1]) == [63.0, 62.0, 61.0, 60.0]


def test_settings_of_any_kind_can_vary(tmp_path):
    methods = "{lora: {settings: {method: smora, rank: 16}}}"
    folder = ranks_board(tmp_path, methods=methods, study="{of: lora, vary: {options: [{top_k: 2}, {top_k: 4}]}}")
    assert "top_k" in (folder / "study.md").read_text() and b"top_k=4" in (folder / "study.svg").read_bytes()


def test_rates_at_which_training_diverged_are_crosses(tmp_path):
    item = StudyRow(
        Row("lora-8", None, {}, None, None, (0,), method_row="lora", values={"rank": 8}),
        SimpleNamespace(lr_grid=read_record(write_grid(tmp_path) / "lr-grid.json", Grid)),
        SCORE,
    )
    (panel,) = draw_rates("s", ["rank"], [item]).axes
    crosses = [line for line in panel.lines if line.get_gid() == "diverged"]
    assert [list(line.get_xdata()) for line in crosses] == [[4e-4]]
    curve = next(line for line in panel.lines if line.get_gid() != "diverged")
    assert list(curve.get_ydata())[:2] == [2.5, 2.25] and math.isnan(curve.get_ydata()[2])


def test_a_rate_at_the_edge_has_a_mark(tmp_path, monkeypatch):
    assert "\\*" not in (ranks_board(tmp_path / "inside") / "study.md").read_text()
    monkeypatch.delitem(LOSSES, 4e-4)
    text = (ranks_board(tmp_path / "edge") / "study.md").read_text()
    assert "| 0.0002\\* |" in text and "The rate is at the edge of the grid" in text


def test_a_study_that_lacks_a_row_is_one_message(tmp_path):
    folder = ranks_board(tmp_path)
    (folder / "entries" / "team-ranks-64.json").unlink()
    for sample in (folder / "samples").glob("team-ranks-64*"):
        sample.unlink()
    for check in (True, False):
        with pytest.raises(
            CMEError, match=r"lacks team-ranks-64, so the study ranks has no tables\. Run: cme board run"
        ):
            cme.board_tables(tmp_path / "board.yaml", check=check)


@pytest.mark.parametrize("entries", [True, False], ids=["others", "none"])
def test_a_study_that_lacks_a_row_does_not_hold_up_the_others(tmp_path, entries):
    folder = ranks_board(tmp_path)
    studies = "{ranks: {of: [lora, team], vary: {total_rank: [32, 64]}}, more: {of: lora, vary: {rank: [4, 8]}}}"
    path = write_board(tmp_path, methods=METHODS, studies=studies)
    if entries:
        shutil.copytree(folder / "entries", tmp_path / "out" / "studies" / "more" / "entries")
        shutil.copytree(folder / "samples", tmp_path / "out" / "studies" / "more" / "samples")
    (folder / "study.md").unlink()
    with pytest.raises(CMEError, match=r"the study more has no tables\. 5 files of complete tables were written"):
        cme.board_tables(path)
    assert (folder / "study.md").is_file() and (folder / "rates.svg").is_file()
    assert not (tmp_path / "out" / "studies" / "more" / "study.md").exists()


def test_figures_that_are_no_longer_made_are_removed(tmp_path):
    folder = ranks_board(tmp_path)
    for entry in (folder / "entries").glob("lora*.json"):
        entry.write_text(json.dumps(json.loads(entry.read_text()) | {"lr_grid": None}))
    stale = cme.board_tables(tmp_path / "board.yaml", check=True)
    assert folder / "rates.svg" in stale
    cme.board_tables(tmp_path / "board.yaml")
    assert not (folder / "rates.svg").exists() and cme.board_tables(tmp_path / "board.yaml", check=True) == []


def test_a_check_without_matplotlib_misses_no_figure(tmp_path, monkeypatch):
    folder = ranks_board(tmp_path)
    (folder / "study.svg").unlink()
    assert cme.board_tables(tmp_path / "board.yaml", check=True) == [folder / "study.svg"]
    monkeypatch.setattr("cme.board.tables.importlib.util.find_spec", lambda name: None)
    assert cme.board_tables(tmp_path / "board.yaml", check=True) == []
