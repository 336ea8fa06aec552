"""Analyses and exports as steps of a board: what is planned, when rows get them, and what counts as finished."""

import json
import shutil
from dataclasses import replace

import pytest

import cme
from cme.board.choice import Facts
from cme.board.plan import make_plan
from cme.board.state import State, state_of, survey
from cme.errors import UsageError
from tests.board import disturb
from tests.board.fakes import finish, make_board, run_fake, write_board

WANTED = {"analysis": "true", "exports": "true"}
OWN = {"analysis/team-0", "analysis/team-1", "exports/team-0", "experts/team", "experts-table"}


def options(argv, name):
    return [argv[place + 1] for place, word in enumerate(argv) if word == name]


def entry_of(tmp_path):
    return json.loads((tmp_path / "out" / "entries" / "team.json").read_text())


def test_every_seed_is_analysed_and_the_first_one_exported(tmp_path):
    before, steps = make_plan(make_board(tmp_path)).steps, make_plan(make_board(tmp_path, **WANTED)).steps
    assert steps.keys() - before.keys() == OWN and "experts/lora" not in steps
    assert all(steps[name] == step for name, step in before.items() if name != "table")
    analysis, export = steps["analysis/team-1"], steps["exports/team-0"]
    assert analysis.needs == ("runs/team-1", "mix") and "--parts" not in analysis.argv
    assert export.needs == ("grid/team", "mix") and {"--measure", "--data"} <= set(export.argv)
    entry = steps["experts/team"]
    assert entry.argv[: len(before["entries/team"].argv)] == before["entries/team"].argv
    work = tmp_path / "work"
    assert options(entry.argv, "--analysis") == [str(work / "analysis" / f"team-{seed}") for seed in (0, 1)]
    assert options(entry.argv, "--export") == [str(work / "exports" / "team-0")]


def test_chosen_rows_seeds_and_settings(tmp_path):
    board = make_board(
        tmp_path,
        methods="{a: {settings: {method: teamlora, rank: 2, experts: 2}}, b: {settings: {method: mola, rank: 2}}}",
        analysis="{rows: b, seeds: [1], parts: [shapley, load]}",
        exports="{rows: [a], how: [distil, mean], seeds: [0, 1], rank: 4, lr: 1e-5, steps: 7}",
    )
    steps = make_plan(board).steps
    assert {name for name, step in steps.items() if step.kind in ("analysis", "export")} == {
        "analysis/b-1", "exports/a-0", "exports/a-1",
    }  # fmt: skip
    assert options(steps["analysis/b-1"].argv, "--parts") == ["load,shapley"]
    argv = steps["exports/a-0"].argv
    given = [options(argv, f"--{name}") for name in ("how", "rank", "lr", "steps")]
    assert given == [["mean,distil"], ["4"], ["1e-05"], ["7"]]


def test_they_have_the_samples_and_settings_of_the_results(tmp_path):
    """Otherwise ``cme submit`` would refuse them after hours of work."""
    board = make_board(
        tmp_path, **WANTED, dtype="bfloat16", tier="quick", allow_missing="true", methods="{team: teamlora-r32}",
        source="{path: /data/rows, name: cme-sample-1}",
    )  # fmt: skip
    steps = make_plan(board).steps
    shared = ("--base", "--dtype", "--format", "--source", "--tier", "--datasets", "--threads")
    result = {name: options(steps["results/team-0"].argv, name) for name in shared}
    assert all(result.values())
    for name in ("analysis/team-0", "exports/team-0"):
        assert {key: options(steps[name].argv, key) for key in shared} == result
        assert "--allow-missing" in steps[name].argv


def test_too_many_experts_for_exact_shapley_values(tmp_path):
    methods = (
        "{many: {settings: {method: moelora, rank: 1, experts: 8}}, one: {settings: {method: moelora, experts: 1}}}"
    )
    steps = make_plan(make_board(tmp_path, methods=methods, analysis="true")).steps
    assert {step.row for step in steps.values() if step.kind == "analysis"} == {"many"}
    assert options(steps["analysis/many-0"].argv, "--parts") == ["load,redundancy,similarity,validation"]
    assert steps["experts/many"].expects["analyses"][0] == ("load", "redundancy")


def test_a_grid_that_chooses_the_experts_decides_the_parts(tmp_path):
    methods = "{team: {settings: {method: moelora, rank: 1, experts: 2}, tune: {experts: [2, 8]}}}"
    board = make_board(tmp_path, methods=methods.replace("experts: 2}", "alpha: 2}"), analysis="true")
    label = board.bases[0].label
    losses = {(label, f"team/experts-{count}"): dict.fromkeys((1e-3, 2e-3), 1 / count) for count in (2, 8)}
    plan = make_plan(board, Facts(losses))
    assert options(plan.steps["analysis/team-1"].argv, "--parts") == ["load,redundancy,similarity,validation"]


def test_entries_do_not_wait_for_analyses(tmp_path):
    board = make_board(tmp_path, **WANTED)
    run_fake(board, only=["table"])
    assert entry_of(tmp_path)["runs"][0]["experts"] is None
    now = survey(board)
    assert now.states["entries/team"].finished and now.states["table"].finished and now.needed == OWN
    ran, pool = run_fake(board)
    assert set(pool.started) == OWN and ran.left == 0
    assert [bool(run["experts"]) for run in entry_of(tmp_path)["runs"]] == [True, True]
    assert survey(board).finished


def test_results_come_before_analyses(tmp_path):
    _, pool = run_fake(make_board(tmp_path, **WANTED))
    assert pool.started.index("results/team-1") < pool.started.index("analysis/team-0")
    assert pool.started.index("entries/team") < pool.started.index("experts/team")


def test_a_failed_analysis_holds_up_no_table(tmp_path):
    board = make_board(tmp_path, **WANTED)
    ran, pool = run_fake(board, fails={"analysis/team-0": [1]})
    assert "table" in ran.done and set(ran.failed) == {"analysis/team-0"}
    assert set(ran.blocked) == {"experts/team", "experts-table"}
    ran, pool = run_fake(board)
    assert set(pool.started) == {"analysis/team-0", "experts/team", "experts-table"} and survey(board).finished


def test_an_entry_may_get_its_analysis_while_the_table_is_rendered(tmp_path):
    board = make_board(tmp_path, **WANTED)
    run_fake(board, only=["table"])
    run_fake(board, only=["experts/team"])
    now = survey(board)
    assert now.states["table"].finished and now.needed == {"experts-table"}
    file = tmp_path / "out" / "entries" / "team.json"
    file.write_text(json.dumps(entry_of(tmp_path) | {"scores": {"datasets": [{"dataset": "rte", "score": 1}]}}))
    assert not survey(board).states["table"].finished


def test_analyses_of_a_finished_board_are_added(tmp_path):
    run_fake(make_board(tmp_path))
    board = make_board(tmp_path, analysis="true")
    _, pool = run_fake(board)
    assert set(pool.started) == OWN - {"exports/team-0"} | {"table"}
    board = make_board(tmp_path, **WANTED)
    _, pool = run_fake(board)
    assert set(pool.started) == {"exports/team-0", "experts/team", "experts-table"} and survey(board).finished


def test_an_entry_with_all_of_it_is_finished_without_the_folders(tmp_path):
    board = make_board(tmp_path, **WANTED)
    run_fake(board)
    shutil.rmtree(tmp_path / "work")
    assert survey(board).needed == {"table", "experts-table"}
    file = tmp_path / "out" / "entries" / "team.json"
    entry = entry_of(tmp_path)
    entry["runs"][1]["experts"] = {"load": [1], "redundancy": []}
    file.write_text(json.dumps(entry))
    now = survey(board)
    assert now.states["entries/team"].finished and not now.states["experts/team"].finished
    assert {"analysis/team-1", "runs/team-1", "results/team-1"} <= now.needed
    entry["runs"][1]["experts"] = {"load": [1], "redundancy": [1], "shapley": {"a": 1}}
    entry["runs"][0]["router_worth"] = {"exports": [{"how": "mean"}]}
    file.write_text(json.dumps(entry))
    assert not survey(board).states["experts/team"].finished
    entry["runs"][0]["router_worth"]["exports"].append({"how": "fit"})
    file.write_text(json.dumps(entry))
    assert survey(board).states["experts/team"].finished


def test_a_board_of_several_bases_waits_for_the_last_table(tmp_path):
    board = make_board(tmp_path, base=f"[{tmp_path}/base, smollm2-135m]", **WANTED)
    assert make_plan(board).steps["board"].needs == ("experts-table", "smollm2-135m/experts-table")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"parts": ["load", "redundancy", "shapley", "similarity", "validation", "training"]}, None),
        ({"parts": ["load"]}, "parts"),
        ({"tier": "quick"}, "tier: 'quick' there, 'smoke' on this board"),
        ({"datasets": {"rte": "x", "qqp": "y"}}, "datasets: qqp only there, none only on this board"),
        ({"adapter": "a" * 64}, "adapter: aaaaaaaaaaaa there, team"),
    ],
)
def test_analyses_of_other_settings_are_not_taken_for_the_boards(tmp_path, changes, problem):
    board = make_board(tmp_path, **WANTED, rates=None)
    run_fake(board)
    step = survey(board).plan.steps["analysis/team-1"]
    finish(replace(step, expects={**step.expects, **changes}), board)
    state = state_of(step, board)
    assert problem in state.problem if problem else state == State(finished=True)


def test_the_parts_of_an_unfinished_analysis_may_change(tmp_path):
    board = make_board(tmp_path, **WANTED)
    run_fake(board)
    marker = tmp_path / "work" / "analysis" / "team-1" / ".cme.json"
    values = json.loads(marker.read_text())
    values["settings"]["parts"] = ["load"]
    marker.write_text(json.dumps(values | {"finished": False}))
    state = survey(board).states["analysis/team-1"]
    assert state.begun and state.problem is None


def test_exports_of_other_settings_are_not_taken_for_the_boards(tmp_path):
    board = make_board(tmp_path, **WANTED)
    run_fake(board)
    marker = tmp_path / "work" / "exports" / "team-0" / ".cme.json"
    values = json.loads(marker.read_text())
    # The settings of the evaluation are below one key, as cme export-lora writes them.
    measure = {key: values["settings"].pop(key) for key in ("tier", "source", "datasets")}
    values["settings"]["measure"] = dict(measure, tier="quick")
    marker.write_text(json.dumps(values))
    assert "tier: 'quick' there, 'smoke' on this board" in survey(board).states["exports/team-0"].problem
    assert "how: ['mean', 'fit'] there" in (
        survey(make_board(tmp_path, analysis="true", exports="{how: mean}", tier="quick"))
        .states["exports/team-0"]
        .problem
    )


def test_a_mix_without_validation_rows_has_no_exports(tmp_path):
    with pytest.raises(UsageError, match="computed from the validation rows, but mix: validation_share is 0"):
        make_board(tmp_path, rates=None, mix="{validation_share: 0}", exports="true")


def test_a_base_may_not_have_the_folder_of_the_exports(tmp_path):
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / "config.json").write_text("{}")
    base = f"[smollm2-135m, {tmp_path}/exports]"
    assert make_board(tmp_path, base=base).bases[1].label == "exports"
    with pytest.raises(UsageError, match="'exports' is the name of one of the board's own folders"):
        make_board(tmp_path, base=base, exports="true")


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:tier smoke")
def test_a_board_really_analyses_exports_and_shows_it(tmp_path, tiny_base):
    """The conditions of ``cme submit`` hold for the commands of the board, also for the best run of a grid."""
    path = write_board(
        tmp_path,
        base=tiny_base,
        mix="{size: 300, datasets: [rte], validation_share: 0.1}",
        methods="{team: {settings: {method: teamlora, rank: 2, experts: 2}}}",
        training="{steps: 4, batch_size: 4, dtype: float32, max_length: 256}",
        analysis="{parts: [load, redundancy, shapley]}",
        exports="{how: [mean]}",
        references="[base]",
        dtype="float32",
    )
    code, errors = disturb.finish(path)
    assert code == 0, errors
    board = cme.load_board(tmp_path / "out")
    assert board.experts()["analysed_seeds"].tolist() == [2] and board.routers()["exported_seeds"].tolist() == [1]
    assert len(board.expert_pairs()) == 0
    assert "Experts in use" in (tmp_path / "out" / "leaderboard.md").read_text()
    assert cme.board_status(path).finished
