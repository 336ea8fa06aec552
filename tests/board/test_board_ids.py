"""Boards on the rows of files of row ids."""

import json

import pytest

import cme
from cme.board.board import read_board
from cme.board.plan import make_plan
from cme.board.state import survey
from cme.errors import CMEError
from tests.board import disturb
from tests.board.fakes import finish, make_board, write_board


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Row ids of a small mix, and of an evaluation of two datasets at tier smoke."""
    root = tmp_path_factory.mktemp("ids")
    cme.build_mix(root / "mix", source="mini", size=150, datasets="rte", validation_share=0.1, workers=1)
    cme.evaluate(baseline="majority", source="mini", tier="smoke", datasets="rte,qqp", out=root / "result")
    cme.write_ids(root / "mix", root / "mix.parquet")
    cme.write_ids(root / "result", root / "rows.parquet")
    return root


def ids_board(root, files, **changes):
    rows = {"datasets": None, "tier": None, "ids": files / "rows.parquet", "mix": f"{{ids: {files / 'mix.parquet'}}}"}
    return make_board(root, **rows | changes)


def test_the_files_give_the_tier_and_the_datasets(tmp_path, files):
    board = ids_board(tmp_path, files)
    assert board.file.tier == "smoke" and set(board.file.datasets) == {"rte", "qqp"}
    steps = make_plan(board).steps
    words = steps["results/lora-0"].argv
    assert words[words.index("--ids") + 1] == str(files / "rows.parquet")
    assert "--tier" not in words and "--datasets" not in words
    words = steps["mix"].argv
    assert words[words.index("--ids") + 1] == str(files / "mix.parquet") and "--size" not in words


def test_results_on_other_rows_are_not_the_boards(tmp_path, files):
    other = make_board(tmp_path, datasets="[rte, qqp]")
    finish(make_plan(other).steps["results/majority"], other)
    problem = survey(ids_board(tmp_path, files)).states["results/majority"].problem
    assert "ids: None there" in problem
    (tmp_path / "again").mkdir()
    board = ids_board(tmp_path / "again", files)
    finish(make_plan(board).steps["results/majority"], board)
    plain = make_board(tmp_path / "again", datasets="[rte, qqp]")
    assert "None on this board" in survey(plain).states["results/majority"].problem


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"datasets": "[rte]"}, "datasets cannot be combined with ids"),
        ({"tier": "quick"}, "are of tier smoke, but tier is quick. Leave it out."),
        ({"ids": "nowhere.parquet"}, "nowhere.parquet"),
        ({"mix": "{ids: nowhere.parquet}"}, "nowhere.parquet"),
    ],
)
def test_settings_that_the_files_determine_are_refused(tmp_path, files, changes, message):
    with pytest.raises(CMEError) as caught:
        ids_board(tmp_path, files, **changes)
    assert message in str(caught.value) and "board.yaml" in str(caught.value)


def test_the_two_kinds_of_files_are_told_from_each_other(tmp_path, files):
    with pytest.raises(CMEError, match="does not state an evaluation"):
        ids_board(tmp_path, files, ids=files / "mix.parquet")
    with pytest.raises(CMEError, match="has no ids of a mix"):
        ids_board(tmp_path, files, mix=f"{{ids: {files / 'rows.parquet'}}}")
    with pytest.raises(CMEError, match="size cannot be combined with ids"):
        ids_board(tmp_path, files, mix=f"{{ids: {files / 'mix.parquet'}, size: 5}}")


def test_the_mix_and_a_row_through_the_command_line(tmp_path, files):
    path = write_board(
        tmp_path, datasets=None, tier=None, ids=files / "rows.parquet", mix=f"{{ids: {files / 'mix.parquet'}}}"
    )
    code, errors = disturb.finish(path, "--only", "mix")
    assert code == 0, errors
    code, errors = disturb.finish(path, "--only", "entries/majority")
    assert code == 0, errors
    first, again = (
        json.loads((folder / "manifest.json").read_text()) for folder in (files / "mix", tmp_path / "work" / "mix")
    )
    assert again["fingerprint"] == first["fingerprint"]
    before, now = (
        (folder / "samples.parquet").read_bytes()
        for folder in (files / "result", tmp_path / "work" / "results" / "majority")
    )
    assert now == before
    states = {step.name: step.state for step in cme.board_status(path).steps}
    assert states["mix"] == states["results/majority"] == states["entries/majority"] == "finished"
    assert read_board(path).fixed.mix_fingerprint == first["fingerprint"]
