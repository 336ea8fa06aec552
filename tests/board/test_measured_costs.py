"""Costs of a board: when they are measured, and which measurement the entries show."""

import json
import os
import shutil
import socket

import pytest

from cme.board.plan import make_plan
from cme.board.run import run_board
from cme.board.state import survey
from cme.errors import UsageError
from cme.locks import LOCK_FILE
from cme.machine import machine_id
from tests.board.fakes import FakePool, finish, make_board, measured_ratios, run_fake


def test_steps_that_measure_costs_run_alone(tmp_path):
    board = make_board(tmp_path, costs="true")
    ran, pool = run_fake(board, jobs=4)
    assert ran.failed == {}
    assert [together for together in pool.together if "costs/rank-4" in together] == [["costs/rank-4"]]
    other = make_board(tmp_path / "b", costs="{alone: false}")
    assert not survey(other).plan.steps["costs/rank-4"].alone


def held_by_another(folder):
    """Write the lock file of another process of this machine that is alive."""
    folder.mkdir(parents=True, exist_ok=True)
    holder = {"host": socket.gethostname(), "pid": os.getppid(), "since": "2026-01-01", "command": "bench adapters"}
    (folder / LOCK_FILE).write_text(json.dumps(holder | {"started": 0, "machine": machine_id()}))


def test_costs_wait_for_what_another_driver_runs_on_this_machine(tmp_path, monkeypatch):
    monkeypatch.setattr("cme.board.run._OTHERS_POLL", 0.01)
    board = make_board(tmp_path, costs="true")
    pool, folder = FakePool(board), tmp_path / "work" / "results" / "base"
    held_by_another(folder)
    ended = pool.wait

    def wait():
        if "results/lora-1" in pool.started:
            (folder / LOCK_FILE).unlink(missing_ok=True)
        return ended()

    pool.wait = wait
    ran = run_board(board, lambda: pool)
    assert ran.failed == {} and "costs/rank-4" in ran.done
    assert pool.started.index("costs/rank-4") > pool.started.index("results/lora-1")


def test_nothing_starts_while_another_driver_measures_costs_on_this_machine(tmp_path, monkeypatch):
    board = make_board(tmp_path, costs="true")
    step = survey(board).plan.steps["costs/rank-4"]
    held_by_another(step.out)
    assert survey(board).states["costs/rank-4"].holder.command == "bench adapters"
    pool, started = FakePool(board), []

    def sleep(_):
        started.append(list(pool.started))
        (step.out / LOCK_FILE).unlink()
        finish(step, board)

    monkeypatch.setattr("cme.board.run.time.sleep", sleep)
    ran = run_board(board, lambda: pool)
    assert started[0] == [] and ran.failed == {} and "costs/rank-4" not in pool.started and survey(board).finished


def test_costs_of_different_machines_are_refused(tmp_path):
    methods = "{lora: {settings: {rank: 4}}, ada: {settings: {method: adalora, rank: 4}}}"
    board = make_board(tmp_path, methods=methods, costs="true")
    run_fake(board)
    for name, hardware in (("rank-4", "fast"), ("rank-6", "slow")):
        file = tmp_path / "out" / "costs" / name / "report.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"surroundings": {"hardware": hardware}}))
    (tmp_path / "out" / "entries" / "ada.json").unlink()
    with pytest.raises(UsageError, match=r"rank-6 was measured on slow, but .*rank-4 on fast"):
        run_fake(board)


TWO_GROUPS = "lora: {settings: {rank: 4}}, ada: {settings: {method: adalora, rank: 4}}"


def ratios_of(root, name):
    return json.loads((root / "out" / "entries" / f"{name}.json").read_text())["cost_ratios"]


@pytest.mark.parametrize(
    "more", [{}, {"analysis": "true", "exports": "true", "datasets": "[qqp, rte]"}, {"grid": "{widen: 2}"}]
)
def test_a_new_method_replaces_the_costs_of_all_rows_without_training_them_again(tmp_path, monkeypatch, more):
    """The work folder is lost and the machine is another one, as when a board of a laptop goes on on a server."""
    first = f"{TWO_GROUPS}, team: {{settings: {{method: teamlora, rank: 2, experts: 2}}}}"
    run_fake(make_board(tmp_path, methods=f"{{{first}}}", costs="true", **more))
    assert ratios_of(tmp_path, "lora")["hardware"] == ratios_of(tmp_path, "ada")["hardware"] == "fast"
    for folder in (tmp_path / "work", tmp_path / "out" / "costs"):
        shutil.rmtree(folder)
    monkeypatch.setattr("tests.board.fakes.HARDWARE", "faster")
    board = make_board(
        tmp_path, methods=f"{{{first}, mos: {{settings: {{method: moslora, rank: 4}}}}}}", costs="true", **more
    )
    ran, pool = run_fake(board)
    assert ran.failed == {} and survey(board).finished
    trained = ("grid/", "runs/", "results/", "entries/", "analysis/", "exports/", "experts/")
    again = {name for name in pool.started if name.startswith(trained)}
    assert again and all("mos" in name for name in again)
    assert {name for name in pool.started if name.startswith("costs/")} == {"costs/rank-4", "costs/rank-6"}
    assert {ratios_of(tmp_path, name)["hardware"] for name in ("lora", "ada", "team", "mos")} == {"faster"}
    if "analysis" in more:
        entry = json.loads((tmp_path / "out" / "entries" / "team.json").read_text())
        assert all(run["experts"] for run in entry["runs"]), "analyses stay"


def test_another_measurement_of_the_same_costs_replaces_those_of_its_rows(tmp_path):
    board = make_board(tmp_path, methods=f"{{{TWO_GROUPS}}}", costs="true")
    run_fake(board)
    file = tmp_path / "out" / "costs" / "rank-4" / "report.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"ratios": measured_ratios(1.75)}))
    assert survey(board).needed == {"ratios/lora", "table"}
    run_fake(board)
    assert ratios_of(tmp_path, "lora")["train"]["value"] == 1.75 and survey(board).finished


def test_new_costs_keep_the_analyses_of_a_row(tmp_path):
    board = make_board(tmp_path, costs="true", analysis="true")
    run_fake(board)
    steps = survey(board).plan.steps
    assert steps["ratios/team"].argv[:2] == ("submit", "--bench") and "--analysis" not in steps["ratios/team"].argv
    assert "--bench" in steps["experts/team"].argv, "a row that is written again keeps its costs"
    assert "ratios/team" in steps["experts/team"].needs
    file = tmp_path / "out" / "costs" / "rank-4" / "report.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"ratios": measured_ratios(1.75)}))
    assert survey(board).needed == {"ratios/lora", "ratios/team", "table", "experts-table"}


def test_costs_of_another_command_replace_also_those_of_lora(tmp_path):
    """The ratio of LoRA to itself is 1 in every measurement, but its row names the measurement."""
    board = make_board(tmp_path, methods="{lora: {settings: {rank: 4}}}", costs="true")
    run_fake(board)
    file = tmp_path / "out" / "costs" / "rank-4" / "report.json"
    report = json.loads(file.read_text())
    report["surroundings"]["threads"] = 8
    file.write_text(json.dumps(report))
    assert survey(board).needed == {"ratios/lora", "table"}


def test_a_group_is_not_measured_apart_from_the_others(tmp_path):
    board = make_board(tmp_path, methods=f"{{{TWO_GROUPS}}}", costs="true")
    run_fake(board)
    shutil.rmtree(tmp_path / "out" / "costs" / "rank-6")
    assert survey(board).needed == {"costs/rank-6", "ratios/ada", "table"}
    shutil.rmtree(tmp_path / "out" / "costs")
    assert survey(board).finished, "the entries have their costs, wherever they were measured"


def test_a_report_of_something_else_is_a_refusal_of_its_step(tmp_path):
    board = make_board(tmp_path, costs="true")
    run_fake(board)
    file = tmp_path / "out" / "costs" / "rank-4" / "report.json"
    file.write_text(json.dumps({"kind": "other"}))
    assert "has a report that is not one of 'cme bench adapters'" in survey(board).states["costs/rank-4"].problem


def test_a_row_with_settings_that_change_its_costs_is_measured_as_a_case_of_its_own(tmp_path):
    methods = (
        "{lora: {settings: {rank: 32, dropout: 0.1}}, "
        "drop: {settings: {method: teamlora, rank: 8, experts: 4, dropout: 0.1, competition: false, gate_sum: 1}}}"
    )
    (step,) = [
        step
        for step in make_plan(make_board(tmp_path, methods=methods, costs="true")).steps.values()
        if step.kind == "costs"
    ]
    names = step.argv[step.argv.index("--methods") + 1]
    assert names == "base,lora,lora:dropout=0.1,teamlora,teamlora:gate_sum=1:dropout=0.1:competition=false"
