"""What runs when: a pool whose steps end at once shows the decisions of the driver."""

import json
import os
import shutil
import socket
import subprocess
import sys

import pytest

import cme
from cme.board.board import read_board
from cme.board.command import Outcome
from cme.board.run import _Driver, run_board
from cme.board.state import survey
from cme.board.status import estimate, statuses
from cme.board.step import Step
from cme.errors import UsageError
from cme.locks import LOCK_FILE
from cme.machine import machine_id
from cme.progress import announced
from tests.board.fakes import FakePool, finish, make_board, run_fake, write_board


def test_every_step_runs_once_and_after_what_it_needs(tmp_path):
    board = make_board(tmp_path)
    ran, pool = run_fake(board)
    plan = survey(board).plan
    assert sorted(pool.started) == sorted(plan.steps) and ran.failed == {} and ran.left == 0
    for name, step in plan.steps.items():
        assert all(pool.started.index(other) < pool.started.index(name) for other in step.needs)
    assert max(map(len, pool.together)) == 2


def test_a_finished_board_runs_nothing(tmp_path):
    board = make_board(tmp_path)
    run_fake(board)
    ran, pool = run_fake(board)
    assert ran.done == [] and pool.started == [] and survey(board).finished


def test_an_interrupted_board_runs_the_rest(tmp_path):
    board = make_board(tmp_path)
    _, first = run_fake(board, only=["grid/*"])
    assert set(first.started) == {name for name in survey(board).plan.steps if name.startswith("grid/")} | {"mix"}
    _, second = run_fake(board)
    assert set(first.started) & set(second.started) == set()
    assert set(first.started) | set(second.started) == set(survey(board).plan.steps)


def test_the_longest_chain_of_a_row_starts_first(tmp_path):
    _, pool = run_fake(make_board(tmp_path), jobs=1)
    assert pool.started[0] == "mix"
    assert pool.started.index("runs/lora-1") < pool.started.index("results/lora-0"), "two steps follow from the run"


def test_a_grid_is_widened_while_the_board_runs(tmp_path):
    losses = {("lora", rate): loss for rate, loss in ((1e-3, 0.7), (2e-3, 0.6), (4e-3, 0.5), (8e-3, 0.9))}
    board = make_board(tmp_path, grid="{widen: 2}")
    ran, pool = run_fake(
        board, losses=losses | {("team", rate): abs(rate - 2e-3) for rate in (5e-4, 1e-3, 2e-3, 4e-3, 8e-3)}
    )
    assert ran.failed == {}
    assert [name for name in pool.started if name.startswith("grid/team/")] == [
        f"grid/team/lr-{rate}" for rate in ("1e-03", "2e-03", "4e-03", "8e-03")
    ]
    assert pool.started.count("grid/lora") == 1
    assert "0.001,0.002,0.004,0.008" in pool.commands["grid/lora"].argv


def test_a_row_is_finished_before_the_next_begins(tmp_path):
    """Entries are what remains if a machine is lost."""
    board = make_board(tmp_path, grid="{widen: 0}")
    ran, pool = run_fake(board, jobs=1)
    assert ran.failed == {}
    assert pool.started.index("entries/lora") < pool.started.index("grid/team/lr-1e-03")
    ran, pool = run_fake(make_board(tmp_path / "b", grid="{widen: 0}"), jobs=8)
    assert pool.started.index("entries/lora") > pool.started.index("grid/team/lr-1e-03"), "no worker waits"


def test_rows_are_complete_before_their_experts_are_analysed(tmp_path):
    """An analysis takes longer than all that the row's scores need, which a lost machine should not cost."""
    board = make_board(tmp_path, costs="true", analysis="true", exports="true", datasets="[qqp, rte]")
    ran, pool = run_fake(board, jobs=2)
    assert ran.failed == {}
    late = [place for place, name in enumerate(pool.started) if name.startswith(("analysis/", "exports/"))]
    before = ("costs/", "results/", "runs/", "grid/")
    assert late and min(late) > max(place for place, name in enumerate(pool.started) if name.startswith(before))


def test_steps_that_write_one_entry_share_a_lock(tmp_path):
    board = make_board(tmp_path, costs="true", analysis="true", base=f"[{tmp_path}/base, smollm2-135m]")
    steps = survey(board).plan.steps
    for base in ("", "smollm2-135m/"):
        names = [f"{base}{kind}/team" for kind in ("entries", "ratios", "experts")]
        assert {steps[name].lock for name in names} == {f"{base}entries/team"}
    assert steps["results/base"].lock == "results/base"


def test_a_running_step_may_vanish_from_the_plan(tmp_path):
    board = make_board(tmp_path)
    pool = FakePool(board)
    driver = _Driver(board, pool, survey(board), None, False)
    step = Step("runs/gone-0", "run", ("train",), tmp_path / "gone")
    driver.begun[step.name] = step
    finish(step, board)
    assert driver.starts.take(step.lock) and driver._note(Outcome(step.name, 0, 1.0)) is True


def test_a_failure_blocks_only_what_needs_it(tmp_path):
    board = make_board(tmp_path)
    told: list[str] = []
    with announced(told.append):
        ran, _ = run_fake(board, fails={"grid/team/lr-1e-03": [1]})
    assert len(told) == 1 and told[0].startswith(
        "grid/team/lr-1e-03 failed, and steps that do not need it go on: it broke (log: "
    )
    assert list(ran.failed) == ["grid/team/lr-1e-03"]
    assert ran.failed["grid/team/lr-1e-03"].startswith("it broke (log: ")
    assert "results/base" in ran.done and "grid/lora/lr-1e-03" in ran.done
    assert "grid/team" in ran.blocked and "results/team-0" in ran.blocked and "entries/lora" in ran.done
    again, _ = run_fake(board)
    assert again.failed == {} and again.blocked == [] and "grid/team/lr-1e-03" in again.done


def test_the_first_failure_may_end_everything(tmp_path):
    board = make_board(tmp_path)
    told: list[str] = []
    with announced(told.append):
        ran, pool = run_fake(board, jobs=1, fails={"mix": [1]}, fail_fast=True)
    assert told == []
    assert pool.started == ["mix"] and pool.stopped and list(ran.failed) == ["mix"]


def test_a_killed_step_runs_again_but_not_forever(tmp_path):
    board = make_board(tmp_path)
    ran, pool = run_fake(board, fails={"results/base": [-9, 137, 130]})
    assert ran.failed == {} and pool.started.count("results/base") == 4
    board = make_board(tmp_path / "b")
    ran, pool = run_fake(board, fails={"results/base": [-9] * 20})
    assert pool.started.count("results/base") == 6 and "exit code -9" in ran.failed["results/base"]


def test_a_command_whose_output_is_not_the_steps_fails(tmp_path, monkeypatch):
    board = make_board(tmp_path)
    monkeypatch.setattr("tests.board.fakes.finish", lambda step, board, **_: None)
    ran, _ = run_fake(board, jobs=1, only=["mix"])
    assert "the command succeeded, but its output is not what the board needs" in ran.failed["mix"]


def test_a_step_of_another_process_is_left_to_it(tmp_path):
    board = make_board(tmp_path)
    step = survey(board).plan.steps["results/base"]
    finish(step, board)
    marker = step.out / ".cme.json"
    values = json.loads(marker.read_text()) | {"finished": False}
    marker.write_text(json.dumps(values))
    holder = {"host": socket.gethostname(), "pid": os.getppid(), "since": "2026-01-01", "command": "eval"}
    (step.out / LOCK_FILE).write_text(json.dumps(holder | {"started": 0, "machine": machine_id()}))

    class Pool(FakePool):
        def wait(self):
            ended = super().wait()
            if len(self.started) == 6:
                marker.write_text(json.dumps(values | {"finished": True}))
                (step.out / LOCK_FILE).unlink(missing_ok=True)
            return ended

    pool = Pool(board)
    ran = run_board(board, lambda: pool)
    assert "results/base" not in pool.started and ran.failed == {} and survey(board).finished


def test_a_step_that_another_driver_has_just_started_is_not_started(tmp_path, monkeypatch):
    """Its command has not locked its output folder yet, which takes a few seconds."""
    board = make_board(tmp_path)
    step = survey(board).plan.steps["results/base"]
    code = (
        "import sys, time, pathlib\nfrom cme.board.starts import Starts\n"
        "print(Starts(pathlib.Path(sys.argv[1])).take('results/base'), flush=True)\ntime.sleep(600)\n"
    )
    other = subprocess.Popen([sys.executable, "-c", code, str(board.work)], stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "True\n"
    pool, waited = FakePool(board), []

    def sleep(_):
        waited.append(list(pool.started))
        finish(step, board)
        other.kill()
        other.communicate()

    monkeypatch.setattr("cme.board.run.time.sleep", sleep)
    ran = run_board(board, lambda: pool)
    assert "results/base" not in pool.started and ran.failed == {} and survey(board).finished
    assert "runs/lora-1" in waited[0], "everything else was done in the meantime"
    assert not (board.work / "starts").exists()


def test_a_pattern_chooses_steps_and_what_they_need(tmp_path):
    board = make_board(tmp_path)
    _, pool = run_fake(board, only=["results/lora-0"])
    rates = {f"grid/lora/lr-{rate}" for rate in ("1e-03", "2e-03")}
    assert set(pool.started) == {"mix", "results/lora-0", "grid/lora", *rates}


def test_every_one_of_several_patterns_chooses_steps(tmp_path):
    board = make_board(tmp_path)
    _, pool = run_fake(board, only=["grid/lora/lr-2*", "grid/lora/lr-1*"])
    assert set(pool.started) == {"mix", "grid/lora/lr-1e-03", "grid/lora/lr-2e-03"}
    with pytest.raises(UsageError, match="no step fits 'resluts/\\*'"):
        run_fake(board, only=["results/*", "resluts/*"])
    assert not survey(board).states["results/lora-0"].finished


def test_the_folder_of_another_board_is_refused(tmp_path):
    board = make_board(tmp_path)
    run_fake(board)
    other = make_board(tmp_path, name="other", out=f"{tmp_path}/out2")
    with pytest.raises(UsageError, match=r"is the work folder of the board 'small', not of 'other'"):
        run_fake(other)
    changed = make_board(tmp_path, training="{steps: 7, save_every: 2}", out=f"{tmp_path}/out2")
    before = sorted(path for path in (tmp_path / "work").rglob("*"))
    with pytest.raises(UsageError, match=r"steps: 6 there, 7 on this board") as caught:
        run_fake(changed)
    assert "Nothing was changed" in str(caught.value)
    assert sorted(path for path in (tmp_path / "work").rglob("*")) == before and not (tmp_path / "out2").exists()


def test_foreign_files_are_refused(tmp_path):
    board = make_board(tmp_path)
    (tmp_path / "work" / "mix").mkdir(parents=True)
    (tmp_path / "work" / "mix" / "thesis.tex").write_text("precious")
    with pytest.raises(UsageError, match="is not empty and was not made by 'cme build-data'"):
        run_fake(board)


def test_a_new_method_runs_its_own_steps_only(tmp_path):
    board = make_board(tmp_path)
    run_fake(board)
    team = "team: {settings: {method: teamlora, rank: 2, experts: 2}}"
    methods = f"{{lora: {{settings: {{rank: 4}}}}, {team}, mos: {{settings: {{method: moslora}}}}}}"
    more = make_board(tmp_path, methods=methods)
    ran, pool = run_fake(more)
    assert ran.failed == {} and set(pool.started) == {
        "grid/mos/lr-1e-03", "grid/mos/lr-2e-03", "grid/mos", "runs/mos-1", "results/mos-0", "results/mos-1", "entries/mos",
        "table",
    }  # fmt: skip


def test_rows_whose_entries_are_there_need_no_runs(tmp_path):
    """A row that was committed on another machine is not trained again."""

    board = make_board(tmp_path)
    run_fake(board)
    shutil.rmtree(tmp_path / "work")
    now = survey(board)
    assert now.needed == {"table"}
    assert {step.state for step in statuses(now) if step.kind in ("mix", "rate", "run", "result")} == {"not needed"}


def test_a_row_that_was_renamed_is_named_with_its_files(tmp_path):
    run_fake(make_board(tmp_path))
    path = write_board(
        tmp_path, methods="{lora: {settings: {rank: 4}}, renamed: {settings: {method: teamlora, rank: 2, experts: 2}}}"
    )
    entry = tmp_path / "out" / "entries" / "team.json"
    assert cme.board_status(path).extra_entries == cme.plan_board(path).extra_entries == (entry,)
    ran, _ = run_fake(read_board(path))
    assert ran.extra_entries == [entry]
    entry.unlink()
    assert cme.board_status(path).extra_entries == ()


def test_an_entry_of_other_results_is_written_again(tmp_path):
    board = make_board(tmp_path)
    run_fake(board)
    result = tmp_path / "work" / "results" / "lora-1" / "result.json"
    result.write_text(json.dumps({"samples_sha256": "other", "seconds": {}}))
    assert survey(board).needed == {"entries/lora", "table"}


def test_what_is_left_is_estimated_from_what_is_finished(tmp_path):
    board = make_board(tmp_path)
    run_fake(board, only=["results/*-0"])
    now = survey(board)
    rates = [step for step in statuses(now) if step.kind == "rate"]
    assert {step.seconds for step in rates} == {60.0}
    left = estimate(now)
    results = sum(step.kind == "result" and step.state != "finished" for step in statuses(now))
    assert left.hours == pytest.approx(results * 30 / 3600) and left.unknown == 2, "runs of the other seeds"


def test_the_time_of_another_base_is_no_estimate(tmp_path):
    board = make_board(tmp_path, base=f"[{tmp_path}/base, smollm2-135m]")
    run_fake(board, only=["results/*"])
    now = survey(board)
    left = [
        step for step in statuses(now) if step.state in ("ready", "waiting") and step.kind in ("rate", "run", "result")
    ]
    assert left and all(step.name.startswith("smollm2-135m/") for step in left)
    assert estimate(now).hours == 0 and estimate(now).unknown == len(left)


def test_a_diverged_rate_is_a_result(tmp_path):
    board = make_board(tmp_path)
    run_fake(board, only=["grid/lora"])
    out = tmp_path / "work" / "grid" / "lora" / "lr-2e-03"
    values = json.loads((out / ".cme.json").read_text())
    (out / ".cme.json").write_text(json.dumps(values | {"finished": False}))
    (out / "diverged.json").write_text(
        json.dumps({"kind": "diverged", "schema_version": 1, "learning_rate": 2e-3, "problem": "the loss is nan"})
    )
    now = survey(board)
    assert now.states["grid/lora/lr-2e-03"].finished and now.plan.chosen[board.bases[0].label, "lora"] == 1e-3
    assert next(step.state for step in statuses(now) if step.name == "grid/lora/lr-2e-03") == "diverged"
