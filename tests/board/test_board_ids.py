"""Boards on the rows of files of row ids."""

import json
import shutil

import pytest
from typer.testing import CliRunner

import cme
from cme.board.board import read_board
from cme.board.id_steps import ids_problem
from cme.board.plan import make_plan
from cme.board.state import state_of, survey
from cme.cli.main import app
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


def main_app(argv):
    return CliRunner().invoke(app, list(argv))


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


def test_a_board_on_a_folder_of_rows_writes_their_ids(tmp_path, files):
    board = make_board(tmp_path, source=f"{{path: {tmp_path}, name: rows-1}}")
    steps = make_plan(board).steps
    assert steps["ids/mix"].needs == ("mix",) and steps["ids/evaluation"].needs == ("results/base",)
    for name, folder in (("ids/mix", "mix"), ("ids/evaluation", "result")):
        step = steps[name]
        shutil.copytree(files / folder, step.parts["of"][0])
        assert not state_of(step, board).finished
        assert main_app(step.argv).exit_code == 0 and state_of(step, board).finished
    made = [steps[name].out for name in ("ids/mix", "ids/evaluation")]
    assert made == [tmp_path / "out" / "mix-ids.parquet", tmp_path / "out" / "evaluation-ids.parquet"]
    again = ids_board(tmp_path / "again", files, ids=made[1], mix=f"{{ids: {made[0]}}}")
    assert again.file.tier == "smoke", "the files are those that a board takes its rows from"


def test_ids_of_another_mix_or_evaluation_are_written_again(tmp_path, files):
    board = make_board(tmp_path, source=f"{{path: {tmp_path}, name: rows-1}}")
    steps = make_plan(board).steps
    for name, folder, file, value in (
        ("ids/mix", "mix", "manifest.json", ("fingerprint", "0" * 64)),
        ("ids/evaluation", "result", "result.json", ("tier", "quick")),
    ):
        step, (of,) = steps[name], steps[name].parts["of"]
        shutil.copytree(files / folder, of)
        assert main_app(step.argv).exit_code == 0
        content = json.loads((of / file).read_text())
        (of / file).write_text(json.dumps(content | {value[0]: value[1]}))
        assert ids_problem(step) in ("of another mix", "of another evaluation")
        shutil.rmtree(of)
        assert ids_problem(step) is None, "the file counts where the folder is not"


@pytest.mark.parametrize("source", ["hub", "mini", "'mini:graded'"])
def test_rows_that_everybody_has_need_no_ids(tmp_path, source):
    assert not [name for name in make_plan(make_board(tmp_path, source=source)).steps if name.startswith("ids/")]


def test_a_board_without_the_base_takes_the_ids_of_its_first_row(tmp_path):
    board = make_board(tmp_path, source=f"{{path: {tmp_path}, name: rows-1}}", references="[majority]")
    assert make_plan(board).steps["ids/evaluation"].needs == ("results/lora-0",)
