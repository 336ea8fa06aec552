"""Boards on the rows of files of row ids."""

import json
import shutil

import pytest
from typer.testing import CliRunner

import cme
from cme.board.board import read_board
from cme.board.id_steps import ids_problem
from cme.board.plan import make_plan
from cme.board.state import State, state_of, survey
from cme.cli.main import app
from cme.errors import CMEError
from tests.board import disturb
from tests.board.fakes import finish, make_board, write_board
from tests.leaderboard.workshop import Workshop


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Row ids of a small mix, and of an evaluation of two datasets at tier smoke."""
    root = tmp_path_factory.mktemp("ids")
    cme.build_mix(root / "mix", source="mini", size=150, datasets="rte", validation_share=0.1, workers=1)
    cme.evaluate(baseline="majority", source="mini", tier="smoke", datasets="rte,qqp", out=root / "result")
    cme.write_ids(root / "mix", root / "mix.parquet")
    cme.write_ids(root / "result", root / "rows.parquet")
    return root


def call(argv):
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


@pytest.mark.long
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


FOLDER = {"methods": "{lora: {settings: {rank: 4}}}", "datasets": "[rte, qqp]"}


def folder_board(root, **changes):
    return make_board(root, source=f"{{path: {root}, name: rows-1}}", **FOLDER | changes)


@pytest.fixture
def with_entry(tmp_path):
    """A board on a folder with an entry of its first row, and the steps of its row ids."""
    workshop = Workshop(tmp_path / "made")
    workshop.row("lora", "lora", 0.6, seeds=(0, 1), names=("qqp", "rte"))
    shutil.copytree(workshop.root / "board", tmp_path / "out")
    board = folder_board(tmp_path)
    return board, make_plan(board).steps


def test_a_board_on_a_folder_of_rows_writes_their_ids(with_entry, tmp_path, files):
    board, steps = with_entry
    assert steps["ids/mix"].needs == ("mix",) and steps["ids/evaluation"].needs == ("entries/lora",)
    shutil.copytree(files / "mix", tmp_path / "work" / "mix")
    for name in ("ids/mix", "ids/evaluation"):
        assert ids_problem(steps[name]) == "missing" and not state_of(steps[name], board).finished
        assert call(steps[name].argv).exit_code == 0 and state_of(steps[name], board).finished
    made = [steps[name].out for name in ("ids/mix", "ids/evaluation")]
    assert made == [tmp_path / "out" / "mix-ids.parquet", tmp_path / "out" / "evaluation-ids.parquet"]
    (tmp_path / "again").mkdir()
    again = ids_board(tmp_path / "again", files, ids=made[1], mix=f"{{ids: {made[0]}}}")
    assert again.file.tier == "quick", "a board can take its rows from the files"


@pytest.mark.parametrize("key", ["tier", "source", "task_fingerprints", "counts", "missing"])
def test_ids_of_another_evaluation_are_written_again(with_entry, key):
    _, steps = with_entry
    step = steps["ids/evaluation"]
    assert call(step.argv).exit_code == 0 and ids_problem(step) is None
    (of,) = step.parts["of"]
    entry = json.loads(of.read_text())
    if key == "counts":
        entry["scores"]["datasets"][0]["n"] += 1
    elif key == "missing":
        entry["runs"][0]["provenance"]["missing"] = ["mmlu/eval"]
    else:
        entry[key] = "other"
    of.write_text(json.dumps(entry))
    assert ids_problem(step) == "of another evaluation"


def test_ids_of_another_mix_are_written_again(with_entry, tmp_path, files):
    _, steps = with_entry
    step, mix = steps["ids/mix"], tmp_path / "work" / "mix"
    shutil.copytree(files / "mix", mix)
    assert call(step.argv).exit_code == 0 and ids_problem(step) is None
    manifest = json.loads((mix / "manifest.json").read_text())
    (mix / "manifest.json").write_text(json.dumps(manifest | {"fingerprint": "0" * 64}))
    assert ids_problem(step) == "of another mix"
    shutil.rmtree(mix)
    assert ids_problem(step) is None, "the file counts where the mix is not"


def test_files_of_the_wrong_kind_do_not_count(with_entry, files):
    _, steps = with_entry
    shutil.copy(files / "mix.parquet", steps["ids/evaluation"].out)
    shutil.copy(files / "rows.parquet", steps["ids/mix"].out)
    assert ids_problem(steps["ids/evaluation"]) == "not that of an evaluation"
    assert ids_problem(steps["ids/mix"]) == "not that of a mix"
    steps["ids/mix"].out.write_bytes(b"PAR1")
    with pytest.raises(CMEError, match=r"mix-ids\.parquet"):
        ids_problem(steps["ids/mix"])


@pytest.mark.parametrize("mix", ["{size: 60}", "{folder: nowhere}"])
def test_a_finished_board_builds_no_mix_for_its_ids(tmp_path, mix, monkeypatch):
    """A board from before the files of row ids existed, on a machine without its work folder."""
    board = folder_board(tmp_path, mix=mix)
    assert not survey(board).states["ids/mix"].finished
    (tmp_path / "out" / "entries").mkdir(parents=True)
    (tmp_path / "out" / "entries" / "lora.json").touch()
    monkeypatch.setattr("cme.board.state.losses_of_entry", lambda *_: {})
    monkeypatch.setattr("cme.board.state.state_of", lambda step, _: State(finished=step.kind in ("entry", "table")))
    assert survey(board).needed == {"ids/evaluation"}, "which reads an entry only"


def test_ids_wait_for_a_mix_that_is_built_again(with_entry, tmp_path, files):
    board, steps = with_entry
    shutil.copy(files / "mix.parquet", steps["ids/mix"].out)
    assert not (tmp_path / "work" / "mix").exists() and not survey(board).states["ids/mix"].finished


@pytest.mark.parametrize("source", ["hub", "mini", "'mini:graded'"])
def test_rows_that_everybody_has_need_no_ids(tmp_path, source):
    assert not [name for name in make_plan(make_board(tmp_path, source=source)).steps if name.startswith("ids/")]
