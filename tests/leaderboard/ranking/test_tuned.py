"""Rows whose grid chose settings of the adapter together with the learning rate."""

import json
from dataclasses import replace

import pytest

import cme
from cme.errors import UsageError
from cme.leaderboard import load_entries, load_paper, make_entry, make_standing, verify
from cme.leaderboard.rendering.page.data import page_data
from cme.leaderboard.rendering.render import render
from cme.leaderboard.rendering.row import make_rows
from cme.leaderboard.submission.steps import entry_steps
from tests.leaderboard.tampering import edit, refusal
from tests.leaderboard.tuned import LOSSES, ROW, tuned_rows, write_grid


@pytest.fixture
def tuned(workshop):
    return tuned_rows(workshop)


def test_the_whole_grid_is_recorded_and_its_choice_is_checked(tuned):
    verify(tuned.entries)
    entry = next(entry for entry in load_entries(tuned.entries) if entry.name == "lora")
    assert {(run.settings["rank"], run.learning_rate): run.validation_loss for run in entry.lr_grid.runs} == LOSSES
    assert entry.lr_grid.at_edge is False, "the rate has neighbours at rank 32, although one diverged"
    (step, *_) = entry_steps(entry, "mix")
    assert "--lr-grid 0.0001,0.0002,0.0004 --tune rank=8,32" in step.command
    assert step.numbers == "the learning rate 0.0002 with rank 32, from a grid of 6"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda grid: grid["runs"][1].update(validation_loss=2.0),
            "rank is 32, but the lowest loss of the grid is at 8",
        ),
        (
            lambda grid: grid.update(best="rank-8-lr-2e-04"),
            "lr_grid chose 'rank-8-lr-2e-04', but the lowest loss is in",
        ),
        (lambda grid: grid["runs"].pop(0), "lr_grid.runs do not have the same settings and learning rates"),
        (lambda grid: grid["runs"][0].pop("settings"), "lr_grid.runs do not have the same settings and learning rates"),
        (lambda grid: grid.update(at_edge=True), "lr_grid.at_edge does not follow"),
        (lambda grid: grid["runs"][0].update(settings={"rank": [8]}), "settings"),
    ],
)
def test_a_choice_that_does_not_follow_from_the_losses_is_refused(tuned, change, message):
    edit(tuned, lambda values: change(values["lr_grid"]))
    assert message in refusal(tuned)


def test_a_row_of_another_rank_than_the_grid_chose_is_refused(workshop):
    with pytest.raises(UsageError, match="chose rank 32, but the row was trained with 8"):
        workshop.row(
            "lora", "lora", 0.6, grid=write_grid(workshop.root / "grid"), names=ROW["names"], settings={"rank": 8}
        )


def test_tables_and_page_say_how_many_runs_were_tried(tuned):
    standing = make_standing(load_entries(tuned.entries), tuned.entries, resamples=200)
    files = render(standing, load_paper())
    text = files["leaderboard.md"]
    assert "learning rate and rank chosen from 6 runs" in text and "| 6 runs |" in text
    assert "rank 32 – 0.0001: 2.3000, 0.0002: 2.2000, 0.0004: diverged" in text and "| rank 32, 0.0002 |" in text
    row = next(line for line in text.splitlines() if "| rank 32, 0.0002 |" in line)
    assert row.rstrip(" |").endswith("| rank"), "32 is the highest rank that was tried, and the rate has neighbours"
    assert "so their budgets are not equal" in text
    row = next(row for row in json.loads(files["leaderboard.json"])["rows"] if row["name"] == "lora")
    assert len(row["lr_grid"]["runs"]) == 6
    (line,) = page_data(standing)["tuned"]
    assert line == {"name": "lora (best of 6 runs)", "value": pytest.approx(standing.averages["lora"].value, abs=1e-3)}


def test_a_board_without_a_tuned_row_has_no_line(board):
    standing = make_standing(load_entries(board.entries), board.entries, resamples=200)
    assert page_data(standing)["tuned"] == []


@pytest.fixture
def repeated(tuned):
    """A board on which the tuned row chose the settings of another row, so that both have the same runs."""
    results, runs = ([tuned.root / part / f"lora-{seed}" for seed in (0, 1)] for part in ("results", "runs"))
    make_entry(results, runs, tuned.entries, name="plain")
    return tuned


def test_the_same_trainings_count_once(repeated):
    entries = load_entries(repeated.entries)
    standing = make_standing(entries, repeated.entries, resamples=200)
    alone = make_standing([entry for entry in entries if entry.name != "lora"], repeated.entries, resamples=200)
    assert [row.name for row in standing.rows] == [row.name for row in alone.rows] and "lora" not in standing.ranks
    assert standing.comparison == alone.comparison and standing.detectable == alone.detectable
    assert standing.information == alone.information and standing.ranks == alone.ranks
    (lora,) = standing.repeats
    assert standing.kind(lora) == "repeat" and standing.repeated == {"lora": "plain"}
    for found, expected in ((standing, alone), (standing.soft, alone.soft)):
        assert found.averages["plain"] == expected.averages["plain"]
        assert replace(found.averages["lora"], row="plain") == expected.averages["plain"]
        for scores in (*found.families.values(), *found.datasets.values()):
            assert replace(scores["lora"], row="plain") == scores["plain"]


def test_a_repeated_row_is_shown_with_its_remark(repeated):
    entries = load_entries(repeated.entries)
    standing = make_standing(entries, repeated.entries, resamples=200)
    verify(repeated.entries)
    text = render(standing, load_paper())["leaderboard.md"]
    assert "learning rate and rank chosen from 6 runs, the same trainings as plain" in text
    assert "which are ranked and compared once, as plain." in text and "| rank 32, 0.0002 |" in text
    page = page_data(standing)
    assert {row["name"]: row["kind"] for row in page["rows"]} == {"plain": "row", "team": "row", "lora": "repeat"}
    assert [item["name"] for item in page["tuned"]] == ["lora (best of 6 runs)"]
    assert page["pairs"]["rows"] == [row.name for row in standing.rows]
    assert {row.train_run_reference for row in make_rows(standing)} == {"plain", ""}, "and never the repeat"
    runs = text.split("## Efficiency: training runs")[1].split("##")[0]
    assert [line.split("|")[1].strip() for line in runs.splitlines() if "| lora  " in line] == ["plain", "lora"]


def test_a_plan_takes_the_same_trainings_once(repeated):
    planned = cme.plan(entries=repeated.entries, difference=5).planned
    assert sorted(planned.pilot) == ["plain", "team"]
