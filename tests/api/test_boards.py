"""A board as frames: the numbers of its tables."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest

import cme
from cme.errors import CMEError
from cme.leaderboard.entries.board import samples_path
from cme.records.samples import read_samples
from cme.suite.score import aggregate

DEMO = Path(__file__).parents[2] / "leaderboards" / "demo"


@pytest.fixture(scope="module")
def board():
    return cme.load_board(DEMO)


def test_the_frame_has_the_numbers_of_the_csv(board):
    frame = board.to_frame().set_index("name")
    rows = list(csv.DictReader(io.StringIO(board.render("csv"))))
    assert [row["name"] for row in rows] == board.to_frame()["name"].tolist()
    for row in rows:
        if row["average"]:
            assert frame.loc[row["name"], "average"] == pytest.approx(float(row["average"]), abs=1e-6)
    assert set(frame["kind"]) <= {"row", "reference", "partial", "stale"}
    ranked = frame[frame["kind"] == "row"]
    assert ranked["average"].is_monotonic_decreasing and (ranked["rank_best"] <= ranked["rank_worst"]).all()
    assert ((ranked["low"] < ranked["average"]) & (ranked["average"] < ranked["high"])).all()


def test_soft_scores_are_those_of_the_samples(board):
    frame = board.to_frame().set_index("name")
    for entry in board.entries:
        if frame.loc[entry.name, "kind"] == "partial":
            assert frame.loc[[entry.name], "soft_average"].isna().all()
            continue
        files = [samples_path(board.folder, entry.name, k) for k in range(len(entry.runs))]
        own = [aggregate(read_samples(file), tier=entry.tier).soft for file in files]
        assert frame.loc[entry.name, "soft_average"] == pytest.approx(sum(soft.average for soft in own) / len(own))
    families = board.soft_families().pivot(index="name", columns="family", values="score")
    for name, average in frame["soft_average"].dropna().items():
        assert families.loc[name].mean() == pytest.approx(average)
    ranked = frame[frame["kind"] == "row"]
    assert ((ranked["soft_low"] < ranked["soft_average"]) & (ranked["soft_average"] < ranked["soft_high"])).all()
    assert (ranked["soft_rank_best"] <= ranked["soft_rank_worst"]).all()


def test_information_is_an_analysis_of_variance_of_the_runs(board):
    frame = board.information().set_index(["kind", "name"])
    assert len(frame) == 1 + 11 + 22
    trained = [entry for entry in board.entries if entry.runs[0].seed is not None]
    runs = np.array([[run.scores.average for run in entry.runs] for entry in trained])
    assert {tuple(run.seed for run in entry.runs) for entry in trained} == {(0, 1, 2)}
    # All rows have the same seeds, so what a seed adds to all of them is left out: a two-way analysis of variance.
    rest = runs - runs.mean(axis=1, keepdims=True) - runs.mean(axis=0) + runs.mean()
    rows, seeds = runs.shape
    between = seeds * runs.mean(axis=1).var(ddof=1)
    assert frame.loc[("average", "average"), "f"] == pytest.approx(
        between / ((rest**2).sum() / (rows - 1) / (seeds - 1))
    )
    scores = board.families().query("name in @names", local_dict={"names": [entry.name for entry in trained]})
    for family, rows in scores.groupby("family"):
        if rows["score"].min() >= 95:
            assert frame.loc[("family", family), "limit"] == "ceiling"


def test_every_pair_is_there_once(board):
    frame, rows = board.pairs(), board.to_frame().query("kind == 'row'")
    assert len(frame) == len(rows) * (len(rows) - 1) // 2
    averages = rows.set_index("name")["average"]
    for pair in frame.itertuples():
        assert pair.difference == pytest.approx(averages[pair.first] - averages[pair.second])
        assert pair.significant == (pair.p_adjusted <= 0.05)


def test_families_and_datasets_add_up(board):
    families = board.families().pivot(index="name", columns="family", values="score")
    whole = board.to_frame().dropna(subset=["average"]).set_index("name")["average"]
    for name, average in whole.items():
        assert families.loc[name].mean() == pytest.approx(average)
    datasets = board.datasets()
    assert datasets.columns.tolist() == ["name", "dataset", "score", "stderr", "low", "high"]
    entry = board.entries[0]
    scored = datasets[datasets["name"] == entry.name].set_index("dataset")["score"]
    for item in entry.scores.datasets:
        assert scored[item.dataset] == pytest.approx(100 * item.value)


def test_it_shows_itself(board):
    assert f"Board of {len(board.entries)} entries" in repr(board) and "<table" in board._repr_html_()
    assert len(board) == len(board.entries)


def test_a_board_may_be_named_by_its_entries(board):
    assert cme.load_board(DEMO / "entries").entries == board.entries
    assert cme.load_board(board).entries == board.entries


def test_no_board(tmp_path):
    with pytest.raises(CMEError, match="does not exist"):
        cme.load_board(tmp_path / "x")
    with pytest.raises(CMEError, match="holds no entries"):
        cme.load_board(tmp_path)


def test_files_are_written_and_checked(tmp_path):
    entries = DEMO.parent / "sample" / "entries"
    written = cme.render_board(entries, tmp_path)
    assert (tmp_path / "leaderboard.md").read_text(encoding="utf-8") == written.text
    assert cme.render_board(entries, tmp_path, check=True).stale == ()
    (tmp_path / "leaderboard.csv").write_text("mine")
    (line,) = cme.render_board(entries, tmp_path, check=True).stale
    assert "leaderboard.csv is out of date" in line and (tmp_path / "leaderboard.csv").read_text() == "mine"
