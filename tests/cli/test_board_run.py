"""``cme board`` on the command line: what it prints for people and for scripts, and its exit codes."""

import json
import shlex

import pytest

import cme as package
from cme.board.run import run_board
from tests.board.fakes import FakePool, make_board, write_board


def test_plan_lists_steps_and_what_is_left(cme, tmp_path):
    path = write_board(tmp_path)
    done = cme("board", "plan", path)
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["step", "state", "rate", "min:s", "detail"]
    assert any(line.split() == ["mix", "ready"] for line in lines)
    assert any(line.split() == ["grid/lora/lr-1e-03", "waiting", "0.001"] for line in lines)
    assert (
        "0 of 20 steps are finished. The time of 13 steps is unknown until a step of the same kind is finished on the same base."
        in done.stderr
    )
    assert not (tmp_path / "work").exists(), "planning writes nothing"
    part = cme("board", "plan", path, "--only", "results/majority")
    assert [line.split()[0] for line in part.stdout.splitlines()[2:]] == ["results/majority"]
    for words in (("results/majority", "--only", "grid/lora/lr-1*"), ("results/majority,grid/lora/lr-1*",)):
        both = cme("board", "plan", path, "--only", *words)
        names = {line.split()[0] for line in both.stdout.splitlines()[2:]}
        assert names == {"mix", "grid/lora/lr-1e-03", "results/majority"}


@pytest.mark.parametrize("only", [[], " , "])
def test_patterns_that_name_nothing_do_not_take_all_steps(tmp_path, only):
    path = write_board(tmp_path)
    for function in (package.plan_board, package.run_board):
        with pytest.raises(package.CMEError, match="only: the list is empty"):
            function(path, only=only)
    assert not (tmp_path / "work").exists()


def test_plan_for_scripts_is_what_python_gives(cme, tmp_path):
    path = write_board(tmp_path)
    values = json.loads(cme("board", "plan", path, "--json").stdout)
    plan = package.plan_board(path)
    assert (
        [step["name"] for step in values["steps"]]
        == [step.name for step in plan.steps]
        == plan.to_frame()["name"].tolist()
    )
    assert values["finished"] is plan.finished is False and values["rates"]["lora"] == [0.001, 0.002]
    assert "Board small: 0 of 20 steps finished" in repr(plan)


def test_status_has_one_line_per_row(cme, tmp_path):
    board = make_board(tmp_path)
    run_board(board, lambda: FakePool(board), only=["results/lora-0"])
    done = cme("board", "status", tmp_path / "board.yaml")
    lines = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines() if line}
    assert lines["lora"] == ["2/2", "0/1", "1/2", "0/1"] and lines["base"] == ["0/1", "0/1"]
    assert done.stdout.splitlines()[-1] == "mix: 1/1, table: 0/1"
    values = json.loads(cme("board", "status", tmp_path / "board.yaml", "--json").stdout)
    assert {step["state"] for step in values["steps"]} == {"finished", "ready", "waiting"}
    run_board(board, lambda: FakePool(board))
    done = cme("board", "status", tmp_path / "board.yaml")
    assert "Board small is finished (20 steps)." in done.stderr
    assert package.board_status(tmp_path / "board.yaml").finished


def test_status_and_plan_show_analyses_and_exports(cme, tmp_path):
    board = make_board(tmp_path, analysis="true", exports="true")
    run_board(board, lambda: FakePool(board), only=["analysis/team-1"])
    done = cme("board", "status", tmp_path / "board.yaml")
    lines = [line.split() for line in done.stdout.splitlines() if line]
    assert lines[0] == ["row", "rates", "runs", "results", "analyses", "exports", "entry"]
    cells = {line[0]: line[1:] for line in lines[1:]}
    assert cells["team"] == ["2/2", "1/1", "0/2", "1/2", "0/1", "0/2"]
    plan = package.plan_board(tmp_path / "board.yaml").to_frame().set_index("name")
    assert plan.loc["analysis/team-1", "state"] == "finished" and plan.loc["exports/team-0", "state"] == "ready"
    assert plan.loc["experts/team", "command"].count("--analysis") == 2


def test_running_and_failed_steps_are_named(cme, tmp_path):
    board = make_board(tmp_path)
    run_board(board, lambda: FakePool(board), only=["mix"])
    record = tmp_path / "work" / "steps" / "results" / "base.json"
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"code": 1, "seconds": 3.0}))
    done = cme("board", "status", tmp_path / "board.yaml")
    assert "failed: results/base (exit code 1, log: " in done.stderr


def test_commands_are_shell_lines_in_stages(cme, tmp_path):
    path = write_board(tmp_path, costs="true")
    lines = cme("board", "commands", path).stdout.splitlines()
    assert lines[0] == "# stage 1: 3 commands, in any order"
    assert "# stage 1: 1 command, each on a machine that runs nothing else" in lines
    assert all(line.startswith("# stage") or shlex.split(line)[0] == "cme" for line in lines)
    second = cme("board", "commands", path, "--stage", 2).stdout.splitlines()
    assert [shlex.split(line)[1] for line in second] == ["train"] * 4 + ["submit"] * 2
    assert second == package.board_commands(path, stage=2)
    missing = cme("board", "commands", path, "--stage", 77)
    assert missing.exit_code == 2 and "stage 77 does not exist" in missing.stderr


def test_a_wrong_file_and_a_finished_board(cme, tmp_path):
    missing = cme("board", "run", tmp_path / "nothing.yaml")
    assert missing.exit_code == 2 and "nothing.yaml does not exist. Give the YAML file of a board." in missing.stderr
    board = make_board(tmp_path)
    run_board(board, lambda: FakePool(board))
    done = cme("board", "run", tmp_path / "board.yaml")
    assert done.exit_code == 0 and "Board small is finished: nothing was left to do." in done.stderr
    ended = cme("board", "commands", tmp_path / "board.yaml", "--stage", 1)
    assert ended.exit_code == 2 and "stage 1 does not exist, because the board is finished." in ended.stderr
    values = json.loads(cme("board", "run", tmp_path / "board.yaml", "--json").stdout)
    assert values["done"] == [] and values["failed"] == {}


def test_another_work_folder(cme, tmp_path):
    board = make_board(tmp_path)
    run_board(board, lambda: FakePool(board))
    values = json.loads(
        cme("board", "status", tmp_path / "board.yaml", "--work", tmp_path / "elsewhere", "--json").stdout
    )
    states = {step["name"]: step["state"] for step in values["steps"]}
    assert states["mix"] == "not needed" and states["entries/lora"] == "finished" and states["table"] == "ready"


def test_tables_of_a_board_without_studies(cme, tmp_path, monkeypatch):
    monkeypatch.setattr("cme.board.tables.write_tables", lambda board: [])
    done = cme("board", "tables", write_board(tmp_path))
    assert done.exit_code == 0 and "Nothing was written, because the board has one base and no studies." in done.stderr


def test_the_files_of_a_row_that_was_renamed_are_named(cme, tmp_path):
    board = make_board(tmp_path)
    run_board(board, lambda: FakePool(board))
    renamed = "{lora: {settings: {rank: 4}}, renamed: {settings: {method: teamlora, rank: 2, experts: 2}}}"
    path = write_board(tmp_path, methods=renamed)
    entry, samples = (tmp_path / "out" / name for name in ("entries/team.json", "samples/team.*"))
    for verb in ("plan", "status"):
        shown = cme("board", verb, path).stderr
        assert f"The table shows team, which is no row of this board, until you remove {entry} and {samples}" in shown
    assert json.loads(cme("board", "status", path, "--json").stdout)["extra_entries"] == [str(entry)]
    entry.unlink()
    assert "is no row of this board" not in cme("board", "status", path).stderr
