"""What runs when: a pool whose steps end at once shows the decisions of the driver."""

import json
import os
import socket

import pytest

import cme
from cme.board.run import run_board
from cme.board.state import survey
from cme.board.status import estimate, statuses
from cme.errors import CMEError, UsageError
from cme.locks import LOCK_FILE
from cme.machine import machine_id
from tests.board.fakes import FakePool, finish, make_board


def run(board, **options):
    """Run a board in a fake pool; return both."""
    choices = {key: options.pop(key) for key in ("only", "fail_fast") if key in options}
    pool = FakePool(board, **options)
    return run_board(board, lambda: pool, **choices), pool


def test_every_step_runs_once_and_after_what_it_needs(tmp_path):
    board = make_board(tmp_path)
    ran, pool = run(board)
    plan = survey(board).plan
    assert sorted(pool.started) == sorted(plan.steps) and ran.failed == {} and ran.left == 0
    for name, step in plan.steps.items():
        assert all(pool.started.index(other) < pool.started.index(name) for other in step.needs)
    assert max(map(len, pool.together)) == 2


def test_a_finished_board_runs_nothing(tmp_path):
    board = make_board(tmp_path)
    run(board)
    ran, pool = run(board)
    assert ran.done == [] and pool.started == [] and survey(board).finished


def test_an_interrupted_board_runs_the_rest(tmp_path):
    board = make_board(tmp_path)
    _, first = run(board, only="grid/*")
    assert set(first.started) == {name for name in survey(board).plan.steps if name.startswith("grid/")} | {"mix"}
    _, second = run(board)
    assert set(first.started) & set(second.started) == set()
    assert set(first.started) | set(second.started) == set(survey(board).plan.steps)


def test_the_longest_chain_starts_first(tmp_path):
    _, pool = run(make_board(tmp_path))
    assert pool.started[0] == "mix" and pool.started.index("results/majority") > pool.started.index(
        "grid/team/lr-2e-03"
    )


def test_a_grid_is_widened_while_the_board_runs(tmp_path):
    losses = {("lora", rate): loss for rate, loss in ((1e-3, 0.7), (2e-3, 0.6), (4e-3, 0.5), (8e-3, 0.9))}
    board = make_board(tmp_path, grid="{widen: 2}")
    ran, pool = run(
        board, losses=losses | {("team", rate): abs(rate - 2e-3) for rate in (5e-4, 1e-3, 2e-3, 4e-3, 8e-3)}
    )
    assert ran.failed == {}
    assert [name for name in pool.started if name.startswith("grid/team/")] == [
        f"grid/team/lr-{rate}" for rate in ("1e-03", "2e-03", "4e-03", "8e-03")
    ]
    assert pool.started.count("grid/lora") == 1
    assert "0.001,0.002,0.004,0.008" in pool.commands["grid/lora"].argv


def test_steps_that_measure_costs_run_alone(tmp_path):
    board = make_board(tmp_path, costs="true")
    ran, pool = run(board, jobs=4)
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
    run(board)
    for name, hardware in (("rank-4", "fast"), ("rank-6", "slow")):
        file = tmp_path / "work" / "costs" / name / "report.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"surroundings": {"hardware": hardware}}))
    (tmp_path / "out" / "entries" / "ada.json").unlink()
    with pytest.raises(UsageError, match=r"rank-6 was measured on slow, but .*rank-4 on fast"):
        run(board)


def test_a_failure_blocks_only_what_needs_it(tmp_path):
    board = make_board(tmp_path)
    ran, _ = run(board, fails={"grid/team/lr-1e-03": [1]})
    assert list(ran.failed) == ["grid/team/lr-1e-03"]
    assert ran.failed["grid/team/lr-1e-03"].startswith("it broke (log: ")
    assert "results/base" in ran.done and "grid/lora/lr-1e-03" in ran.done
    assert "grid/lora" in ran.blocked and "results/team-0" in ran.blocked, "all methods share the grid"
    again, _ = run(board)
    assert again.failed == {} and again.blocked == [] and "grid/team/lr-1e-03" in again.done


def test_the_first_failure_may_end_everything(tmp_path):
    board = make_board(tmp_path)
    ran, pool = run(board, jobs=1, fails={"mix": [1]}, fail_fast=True)
    assert pool.started == ["mix"] and pool.stopped and list(ran.failed) == ["mix"]


def test_a_killed_step_runs_again_but_not_forever(tmp_path):
    board = make_board(tmp_path)
    ran, pool = run(board, fails={"results/base": [-9, 137, 130]})
    assert ran.failed == {} and pool.started.count("results/base") == 4
    board = make_board(tmp_path / "b")
    ran, pool = run(board, fails={"results/base": [-9] * 20})
    assert pool.started.count("results/base") == 6 and "exit code -9" in ran.failed["results/base"]


def test_a_command_whose_output_is_not_the_steps_fails(tmp_path, monkeypatch):
    board = make_board(tmp_path)
    monkeypatch.setattr("tests.board.fakes.finish", lambda step, board, **_: None)
    ran, _ = run(board, jobs=1, only="mix")
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


def test_a_pattern_chooses_steps_and_what_they_need(tmp_path):
    board = make_board(tmp_path)
    _, pool = run(board, only="results/lora-0")
    rates = {f"grid/{row}/lr-{rate}" for row in ("lora", "team") for rate in ("1e-03", "2e-03")}
    assert set(pool.started) == {"mix", "results/lora-0", "grid/lora", *rates}
    with pytest.raises(UsageError, match="no step fits 'resluts/\\*'"):
        run(board, only="resluts/*")


def test_the_folder_of_another_board_is_refused(tmp_path):
    board = make_board(tmp_path)
    run(board)
    other = make_board(tmp_path, name="other", out=f"{tmp_path}/out2")
    with pytest.raises(UsageError, match=r"is the work folder of the board 'small', not of 'other'"):
        run(other)
    changed = make_board(tmp_path, training="{steps: 7, save_every: 2}", out=f"{tmp_path}/out2")
    before = sorted(path for path in (tmp_path / "work").rglob("*"))
    with pytest.raises(UsageError, match=r"steps: 6 there, 7 on this board") as caught:
        run(changed)
    assert "Nothing was changed" in str(caught.value)
    assert sorted(path for path in (tmp_path / "work").rglob("*")) == before and not (tmp_path / "out2").exists()


def test_foreign_files_are_refused(tmp_path):
    board = make_board(tmp_path)
    (tmp_path / "work" / "mix").mkdir(parents=True)
    (tmp_path / "work" / "mix" / "thesis.tex").write_text("precious")
    with pytest.raises(UsageError, match="is not empty and was not made by 'cme build-data'"):
        run(board)


def test_a_new_method_runs_its_own_steps_only(tmp_path):
    board = make_board(tmp_path)
    run(board)
    team = "team: {settings: {method: teamlora, rank: 2, experts: 2}}"
    methods = f"{{lora: {{settings: {{rank: 4}}}}, {team}, mos: {{settings: {{method: moslora}}}}}}"
    more = make_board(tmp_path, methods=methods)
    ran, pool = run(more)
    assert ran.failed == {} and set(pool.started) == {
        "grid/mos/lr-1e-03", "grid/mos/lr-2e-03", "grid/mos", "runs/mos-1", "results/mos-0", "results/mos-1", "entries/mos",
        "table",
    }  # fmt: skip


def test_rows_whose_entries_are_there_need_no_runs(tmp_path):
    """A row that was committed on another machine is not trained again."""
    import shutil

    board = make_board(tmp_path)
    run(board)
    shutil.rmtree(tmp_path / "work")
    now = survey(board)
    assert now.needed == {"table"}
    assert {step.state for step in statuses(now) if step.kind in ("mix", "rate", "run", "result")} == {"not needed"}


def test_an_entry_of_other_results_is_written_again(tmp_path):
    board = make_board(tmp_path)
    run(board)
    result = tmp_path / "work" / "results" / "lora-1" / "result.json"
    result.write_text(json.dumps({"samples_sha256": "other", "seconds": {}}))
    assert survey(board).needed == {"entries/lora", "table"}


def test_what_is_left_is_estimated_from_what_is_finished(tmp_path):
    board = make_board(tmp_path)
    run(board, only="results/lora-0")
    now = survey(board)
    rates = [step for step in statuses(now) if step.kind == "rate"]
    assert {step.seconds for step in rates} == {60.0}
    left = estimate(now)
    results = sum(step.kind == "result" and step.state != "finished" for step in statuses(now))
    assert left.hours == pytest.approx(results * 30 / 3600) and left.unknown == 2, "runs of the other seeds"


def test_a_diverged_rate_is_a_result(tmp_path):
    board = make_board(tmp_path)
    run(board, only="grid/lora")
    out = tmp_path / "work" / "grid" / "lora" / "lr-2e-03"
    values = json.loads((out / ".cme.json").read_text())
    (out / ".cme.json").write_text(json.dumps(values | {"finished": False}))
    (out / "diverged.json").write_text(
        json.dumps({"kind": "diverged", "schema_version": 1, "learning_rate": 2e-3, "problem": "the loss is nan"})
    )
    now = survey(board)
    assert now.states["grid/lora/lr-2e-03"].finished and now.plan.chosen[board.bases[0].label, "lora"] == 1e-3
    assert next(step.state for step in statuses(now) if step.name == "grid/lora/lr-2e-03") == "diverged"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("datasets", "[rte, mnli]", "datasets: none only there, mnli only on this board"),
        ("source", "mini:seed=3", "source: 'mini' there, 'mini:seed=3' on this board"),
        ("base", "smollm2-135m", "base: "),
        ("dtype", "float32", "dtype: 'bfloat16' there, 'float32' on this board"),
        ("mix", "{size: 70}", "size: 60 there, 70 on this board"),
    ],
)
def test_results_of_other_settings_are_not_taken_for_the_boards(tmp_path, key, value, message):
    board = make_board(tmp_path, dtype="bfloat16")
    run(board)
    changed = make_board(tmp_path, **{"dtype": "bfloat16", key: value})
    now = survey(changed)
    assert {"entries/lora", "table"} <= now.needed
    with pytest.raises(UsageError) as caught:
        run(changed)
    assert message in str(caught.value)


def test_runs_of_a_mix_that_was_replaced_are_not_taken_for_the_boards(tmp_path):
    board = make_board(tmp_path)
    run(board)
    manifest = tmp_path / "work" / "mix" / "manifest.json"
    marker = tmp_path / "work" / "runs" / "lora-1" / ".cme.json"
    values = json.loads(marker.read_text())
    values["settings"]["mix_fingerprint"] = "a" * 64
    marker.write_text(json.dumps(values))
    manifest.write_text(json.dumps({"fingerprint": "a" * 64}))
    assert survey(board).states["runs/lora-1"].finished
    manifest.write_text(json.dumps({"fingerprint": "b" * 64, "rows": 1}))
    assert "mix: aaaaaaaaaaaa there, bbbbbbbbbbbb on this board" in survey(board).states["runs/lora-1"].problem


def test_baselines_that_cover_few_datasets_are_finished(tmp_path):
    board = make_board(tmp_path, datasets="[rte, squad_v2, tldr]", references="[majority, unanswerable, lead-1]")
    steps = survey(board).plan.steps
    for name, dataset in (("unanswerable", "squad_v2"), ("lead-1", "tldr")):
        assert (
            steps[f"results/{name}"].expects["datasets"] == steps[f"entries/{name}"].expects["datasets"] == (dataset,)
        )
    assert "rte" in steps["results/majority"].expects["datasets"]


def test_a_conflict_of_one_grid_does_not_blame_another(tmp_path):
    board = make_board(tmp_path)
    run(board)
    marker = tmp_path / "work" / "grid" / "team" / "lr-1e-03" / ".cme.json"
    values = json.loads(marker.read_text())
    values["settings"]["rank"] = 8
    marker.write_text(json.dumps(values))
    states = survey(board).states
    assert states["grid/team"].problem.endswith("grid/team/lr-1e-03") and states["grid/lora"].problem is None


def test_an_entry_of_another_mix_is_written_again(tmp_path):
    board = make_board(tmp_path)
    run(board)
    entry = tmp_path / "out" / "entries" / "lora.json"
    values = json.loads(entry.read_text())
    for origin, finished in (
        ({"size": 60, "datasets": None}, True),
        ({"size": 90}, False),
        ({"datasets": ["rte"]}, False),
    ):
        values["runs"][0]["provenance"] = {"training": {"mix": origin}}
        entry.write_text(json.dumps(values))
        assert survey(board).states["entries/lora"].finished == finished, origin


def test_costs_of_other_settings_are_not_taken_for_the_boards(tmp_path):
    run(make_board(tmp_path, costs="true"))
    changed = survey(make_board(tmp_path, costs="{batch: 4}"))
    assert "batch: 8 there, 4 on this board" in changed.states["costs/rank-4"].problem


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("source", "nowhere", "unknown source 'nowhere'"),
        ("source", "mini:grded", "grded"),
        ("mix", "nowhere", "mix is 'nowhere', which is not the folder of a mix"),
        ("retention_text", "nowhere.txt", "retention_text is 'nowhere.txt', which does not exist"),
        ("out", "{root}/base/config.json", "which is a file"),
    ],
)
def test_inputs_that_do_not_exist_are_one_message_before_anything_runs(tmp_path, key, value, message):
    board = make_board(tmp_path, retention="true", **{key: value.format(root=tmp_path)})
    with pytest.raises(UsageError) as caught:
        run(board)
    assert message in str(caught.value) and not (tmp_path / "work").exists()


def test_runs_of_an_earlier_best_rate_are_named_and_kept(tmp_path):
    """A further rate turns out best, so the other seeds were trained with another one."""
    run(make_board(tmp_path), losses={("lora", 1e-3): 0.6, ("lora", 2e-3): 0.5})
    before = (tmp_path / "work" / "runs" / "lora-1" / ".cme.json").read_bytes()
    ran, pool = run(make_board(tmp_path, rates="[1e-3, 2e-3, 4e-3]"), losses={("lora", 4e-3): 0.1, ("team", 4e-3): 0.9})
    assert "runs/lora-1" not in pool.started
    assert "learning_rate: 0.002 there, 0.004 on this board" in ran.failed["runs/lora-1"]
    assert "Move or remove it, and run the same command again." in ran.failed["runs/lora-1"]
    assert (tmp_path / "work" / "runs" / "lora-1" / ".cme.json").read_bytes() == before


@pytest.mark.parametrize(
    "file",
    [
        "out/entries/lora.json", "work/runs/lora-1/.cme.json", "work/grid/lora/lr-1e-03/.cme.json",
        "work/grid/lora/lr-1e-03/run.json", "work/results/base/result.json", "work/board.json", "work/steps/mix.json",
    ],
)  # fmt: skip
def test_a_damaged_file_is_named(tmp_path, file):
    board = make_board(tmp_path)
    run(board)
    damaged = tmp_path / file
    damaged.write_text("[]")
    with pytest.raises(CMEError, match="is damaged") as caught:
        cme.board_status(board.path)
    assert damaged.name in str(caught.value)


@pytest.mark.parametrize("text", ["{}", '{"scorer_version": 1}'])
def test_a_file_that_is_no_entry_is_not_overwritten(tmp_path, text):
    board = make_board(tmp_path)
    run(board)
    entry = tmp_path / "out" / "entries" / "lora.json"
    entry.write_text(text)
    with pytest.raises(CMEError, match="values are missing or have another type"):
        run(board)
    assert entry.read_text() == text


def test_an_entry_of_a_later_version_is_not_overwritten(tmp_path):
    board = make_board(tmp_path)
    run(board)
    entry = tmp_path / "out" / "entries" / "lora.json"
    entry.write_text(json.dumps(json.loads(entry.read_text()) | {"scorer_version": 99}))
    with pytest.raises(CMEError, match="was written by a later version of CME"):
        run(board)
