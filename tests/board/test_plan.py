"""From a board's file to its steps: what is planned, and with which commands."""

import json
import re
import shlex
from dataclasses import fields, replace
from pathlib import Path

import pytest
from typer.main import get_command

import cme
from cme.adapters.methods import METHODS
from cme.adapters.settings import AdapterSettings
from cme.board.board import read_board
from cme.board.choice import Facts
from cme.board.commands import command_lines, stages
from cme.board.costs import has_costs
from cme.board.plan import make_plan
from cme.board.rates import next_rates
from cme.board.rows import flags
from cme.board.state import losses_of_entry, survey
from cme.cli.main import app
from cme.errors import CMEError, UsageError
from cme.leaderboard import load_entries
from cme.training.settings import TrainSettings
from tests.board.fakes import make_board

ROOT = Path(cme.__file__).parents[1]
DEMO = ROOT / "leaderboards" / "demo"


def demo_board(tmp_path):
    if not (DEMO / "board.yaml").is_file():
        pytest.skip("not in a checkout")
    text = (DEMO / "board.yaml").read_text().replace("out: leaderboards/demo", f"out: {DEMO}")
    (tmp_path / "board.yaml").write_text(text)
    return read_board(tmp_path / "board.yaml", tmp_path / "work")


def test_the_demo_board_plans_what_its_entries_hold(tmp_path):
    board = demo_board(tmp_path)
    entries = {entry.name: entry for entry in load_entries(DEMO / "entries")}
    held = set()
    for entry in entries.values():
        rate = entry.recipe.learning_rate if entry.lr_grid else None
        held |= {(entry.name, run.learning_rate, 0, 0) for run in (entry.lr_grid.runs if entry.lr_grid else ())}
        held |= {(entry.name, rate, run.seed, 0) for run in entry.runs}
        held |= {(entry.name, rate, item.seed, item.prompt_variant) for item in entry.prompt_variants}
    losses = {
        (board.bases[0].label, name): {run.learning_rate: run.validation_loss for run in entry.lr_grid.runs}
        for name, entry in entries.items()
        if entry.lr_grid
    }
    plan = make_plan(board, Facts(losses))
    planned = {
        (step.row, step.rate, step.seed, step.variant)
        for step in plan.steps.values()
        if step.kind in ("rate", "run", "result")
    }
    assert planned == held
    assert {step.row for step in plan.steps.values() if step.kind == "entry"} == set(entries)


def test_every_setting_that_a_board_can_have_is_an_option_of_the_command():
    known = {word for parameter in get_command(app).commands["train"].params for word in parameter.opts}
    settings = {field.name: 1 for field in fields(TrainSettings)} | {field.name: 1 for field in fields(AdapterSettings)}
    renamed = {"learning_rate": "--lr", "prompt_format": "--format"}
    options = {renamed.get(name, flags({name: value})[0]) for name, value in settings.items() if name != "options"}
    assert options <= known


def test_steps_follow_what_they_need(tmp_path):
    board = make_board(
        tmp_path,
        studies="{experts: {of: team, vary: {experts: [1, 2, 4]}, hold: total_rank}}",
        prompt_variants="{rows: [base, lora], which: [1, 2]}",
        costs="true",
        analysis="true",
    )
    seen = set()
    for step in make_plan(board).steps.values():
        assert set(step.needs) <= seen, step.name
        seen.add(step.name)
    assert {"costs/rank-4", "analysis/team-0", "studies/experts/table", "results/lora-wording-2", "board"} <= seen
    assert "analysis/lora-0" not in seen


def test_every_command_is_one_of_cme(tmp_path):
    """The command line accepts every planned command: names of verbs and of options."""
    import typer

    from cme.cli.main import app

    board = make_board(
        tmp_path,
        base=f"[{tmp_path}/base, smollm2-135m]",
        methods="{lora: {settings: {rank: 4}}, full: {}, team: {settings: {method: teamlora, rank: 2, experts: 2, "
        "competition: false, gate_sum: 1, target_modules: [up_proj, down_proj]}}}",
        costs="{rounds: 3}",
        analysis="{rows: team, parts: [load]}",
        exports="{rows: team, how: [mean, distil], rank: 4, ridge: 0.5, steps: 20, lr: 1e-4, batch_size: 2}",
        retention="true",
        references="[base, base-2-shot, majority]",
        prompt_variants="{rows: [base, team], which: [1]}",
        studies="{ablation: {of: team, vary: {collaboration: [true, false], competition: [true, false]}, rates: method}}",
    )
    group = typer.main.get_command(app)
    for step in make_plan(board).steps.values():
        words, command = list(step.argv), group
        while hasattr(command, "commands"):
            command = command.commands[words.pop(0)]
        context = command.make_context("cme", words, resilient_parsing=False)
        assert context.args == []


def test_a_row_does_not_wait_for_others_if_no_grid_can_be_widened(tmp_path):
    board = make_board(tmp_path, grid="{widen: 0}")
    base = board.bases[0].label
    plan = make_plan(board, Facts({(base, "lora"): {1e-3: 0.7, 2e-3: 0.6}}))
    assert plan.chosen == {(base, "lora"): 2e-3}
    assert set(plan.steps["grid/team"].needs) == {"grid/team/lr-1e-03", "grid/team/lr-2e-03"}
    waiting = make_plan(make_board(tmp_path, grid="{widen: 1}"), Facts({(base, "lora"): {1e-3: 0.7, 2e-3: 0.6}}))
    assert waiting.chosen == {}


def test_all_methods_are_widened_alike(tmp_path):
    board = make_board(tmp_path, grid="{widen: 1}")
    base = board.bases[0].label
    partial = Facts({(base, "lora"): {1e-3: 0.7, 2e-3: 0.6}, (base, "team"): {1e-3: 0.5}})
    plan = make_plan(board, partial)
    assert set(plan.rates.values()) == {(1e-3, 2e-3, 4e-3)} and plan.chosen == {}, (
        "lora needs a rate, whatever team does"
    )
    edges = {(base, "lora"): {1e-3: 0.7, 2e-3: 0.6}, (base, "team"): {1e-3: 0.5, 2e-3: None}}
    plan = make_plan(board, Facts(edges))
    assert set(plan.rates.values()) == {(5e-4, 1e-3, 2e-3, 4e-3)} and plan.chosen == {}
    grid = plan.steps["grid/lora"]
    assert "0.0005,0.001,0.002,0.004" in grid.argv
    assert set(grid.needs) == {
        *(f"grid/lora/lr-{rate}" for rate in ("5e-04", "1e-03", "2e-03", "4e-03")),
        *(f"grid/team/lr-{rate}" for rate in ("5e-04", "4e-03")),
    }, "the other losses of the other method are known, here or from its entry"
    known = {key: own | {5e-4: 0.9, 4e-3: 0.8} for key, own in edges.items()}
    assert make_plan(board, Facts(known)).chosen == {(base, "lora"): 2e-3, (base, "team"): 1e-3}


@pytest.mark.parametrize(
    ("losses", "most", "expected"),
    [
        ([{1.0: 3.0, 2.0: 2.0, 4.0: 3.0}], 2, (1.0, 2.0, 4.0)),  # inside
        ([{1.0: 3.0, 2.0: 2.0, 4.0: 1.0}], 2, (1.0, 2.0, 4.0, 8.0)),
        ([{1.0: 3.0, 2.0: 2.0, 4.0: 1.0, 8.0: 0.5}], 2, (1.0, 2.0, 4.0, 8.0, 16.0)),
        ([{1.0: 3.0, 2.0: 2.0, 4.0: 1.0, 8.0: 0.5, 16.0: 0.1}], 2, (1.0, 2.0, 4.0, 8.0, 16.0)),  # twice at most
        ([{1.0: 3.0, 2.0: 2.0, 4.0: 1.0, 8.0: None}], 2, (1.0, 2.0, 4.0, 8.0)),  # diverged beyond the best
        ([{1.0: None, 2.0: None, 4.0: None}], 2, (1.0, 2.0, 4.0)),
        ([{1.0: 1.0, 2.0: 2.0, 4.0: 3.0}, {1.0: 3.0, 2.0: 2.0, 4.0: 1.0}], 1, (0.5, 1.0, 2.0, 4.0, 8.0)),
        ([{1.0: 1.0, 2.0: 2.0, 4.0: 3.0}, {1.0: 3.0}], 2, (0.5, 1.0, 2.0, 4.0)),  # the other is not awaited
        ([{1.0: 1.0, 2.0: 2.0, 4.0: 3.0}], 0, (1.0, 2.0, 4.0)),
        ([], 2, (1.0, 2.0, 4.0)),
    ],
)
def test_when_a_grid_is_widened(losses, most, expected):
    assert next_rates([1.0, 2.0, 4.0], losses, most) == expected


def test_a_study_holds_the_total_rank_and_the_scale(tmp_path):
    board = make_board(
        tmp_path,
        methods="{team: {settings: {method: teamlora, rank: 8, experts: 4, alpha: 32.0}}}",
        studies="{experts: {of: team, vary: {experts: [1, 2, 4, 8]}, hold: total_rank}}",
    )
    rows = {row.name: row for row in board.of_study("experts")}
    assert list(rows) == [f"team-experts-{count}" for count in (1, 2, 4, 8)]
    for row in rows.values():
        assert row.adapter.rank * row.adapter.experts == 32 and row.adapter.lora_alpha / row.adapter.rank == 4
    assert [row.same_as for row in rows.values()] == [None, None, "team", None]
    steps = make_plan(board).steps
    assert not [name for name in steps if "team-experts-4" in name and not name.startswith("studies/")]
    assert steps["studies/experts/entries/team-experts-4"].needs[0] == "results/team-0"


def test_a_study_of_the_total_rank_has_all_methods_at_equal_sizes(tmp_path):
    board = make_board(
        tmp_path,
        methods="{lora: {settings: {rank: 32, alpha: 64}}, team: {settings: {method: teamlora, rank: 8, experts: 4}}}",
        studies="{ranks: {of: [lora, team], vary: {total_rank: [8, 32, 64]}}}",
    )
    rows = board.of_study("ranks")
    assert [row.name for row in rows] == [
        f"{method}-ranks-{total}" for method in ("lora", "team") for total in (8, 32, 64)
    ]
    assert [row.total_rank for row in rows] == [8, 32, 64, 8, 32, 64]
    assert [row.adapter.rank for row in rows] == [8, 32, 64, 2, 8, 16]
    assert len({row.adapter.lora_alpha / row.adapter.rank for row in rows[:3]}) == 1
    assert [row.same_as for row in rows] == [None, "lora", None, None, "team", None]
    assert [row.values for row in rows[:2]] == [{"total_rank": 8}, {"total_rank": 32}]
    argv = make_plan(board).steps["studies/ranks/entries/team-ranks-64"].argv
    assert "--total-rank" not in argv
    argv = make_plan(board).steps["grid/team-ranks-64/lr-1e-03"].argv
    assert argv[argv.index("--rank") + 1] == "16" and "--total-rank" not in argv


def test_experts_of_comol_share_the_rank_in_studies_and_costs(tmp_path):
    board = make_board(
        tmp_path,
        methods="{lora: {settings: {rank: 32}}, core: {settings: {method: comol, rank: 32, experts: 8}}}",
        studies="{experts: {of: core, vary: {experts: [3, 8]}, hold: total_rank}}",
        costs="true",
    )
    assert [row.adapter.rank for row in board.of_study("experts")] == [32, 32]
    assert {name for name, step in make_plan(board).steps.items() if step.kind == "costs"} == {"costs/rank-32"}


def test_a_method_of_another_package_declares_whose_the_ranks_are(tmp_path, monkeypatch):
    """A copy of CoMoL and one of SMoRA under other names have the same total ranks and costs as the originals."""
    copies = {name: replace(METHODS[of], name=name) for name, of in (("mycore", "comol"), ("myrank", "smora"))}
    monkeypatch.setattr(METHODS, "_known", {**METHODS._known, **copies})
    monkeypatch.setattr(METHODS, "_own", (*METHODS._own, *copies))
    board = make_board(
        tmp_path,
        methods="{lora: {settings: {rank: 32}}, mycore: {settings: {rank: 32, experts: 8}}, myrank: {settings: {rank: 32}}}",
        studies="{experts: {of: mycore, vary: {experts: [3, 8]}, hold: total_rank}}",
        costs="true",
    )
    assert [(row.total_rank, row.routed) for row in board.methods] == [(32, False), (32, True), (32, True)]
    assert [row.adapter.rank for row in board.of_study("experts")] == [32, 32]
    assert {name for name, step in make_plan(board).steps.items() if step.kind == "costs"} == {"costs/rank-32"}


def test_adapters_with_different_numbers_of_experts_are_not_analysed(tmp_path):
    """A step that cannot succeed would stop the board after the trainings."""
    methods = (
        "{even: {settings: {method: mola, rank: 2}}, "
        "deep: {settings: {method: mola, rank: 2, options: {experts_pattern: {up_proj: 2}}}}}"
    )
    steps = make_plan(make_board(tmp_path, methods=methods, analysis="true")).steps
    assert {step.row for step in steps.values() if step.kind == "analysis"} == {"even"}
    with pytest.raises(UsageError, match="deep has different numbers of experts by layer"):
        make_board(tmp_path, methods=methods, analysis="{rows: [deep]}")


def test_adapters_that_train_more_than_their_experts_are_not_analysed(tmp_path):
    methods = (
        "{even: {settings: {method: mola, rank: 2}}, more: {settings: {method: mola, rank: 2, options: {bias: all}}}}"
    )
    steps = make_plan(make_board(tmp_path, methods=methods, analysis="true")).steps
    assert {step.row for step in steps.values() if step.kind == "analysis"} == {"even"}
    with pytest.raises(UsageError, match="more also trains biases or whole modules"):
        make_board(tmp_path, methods=methods, analysis="{rows: [more]}")


def test_a_study_may_take_the_rate_of_its_method(tmp_path):
    board = make_board(tmp_path, studies="{ranks: {of: [lora, team], vary: {rank: [2, 8]}, rates: method, seeds: [0]}}")
    step = make_plan(board).steps["runs/lora-ranks-8-0"]
    assert step.needs == ("grid/lora",) and step.argv[step.argv.index("--lr-from") + 1].endswith("work/grid/lora")
    assert "--grid" not in make_plan(board).steps["studies/ranks/entries/lora-ranks-8"].argv
    facts = Facts({(board.bases[0].label, row): dict.fromkeys(board.file.rates, 1.0) for row in ("lora", "team")})
    words = make_plan(board, facts).steps["runs/lora-ranks-8-0"].argv
    # cme train refuses a grid with another rank as --lr-from.
    assert "--lr-from" not in words and float(words[words.index("--lr") + 1]) in board.file.rates


def test_a_list_of_layers_names_its_row(tmp_path):
    study = "{of: lora, vary: {target_modules: [[q_proj, k_proj], [up_proj]]}}"
    rows = make_board(tmp_path, studies=f"{{targets: {study}}}").of_study("targets")
    assert [row.name for row in rows] == ["lora-targets-q-proj-k-proj", "lora-targets-up-proj"]


def test_a_shorter_grid_trains_all_seeds_in_full(tmp_path):
    steps = make_plan(make_board(tmp_path, grid="{widen: 0, steps: 3}")).steps
    assert "runs/lora-0" in steps and steps["results/lora-0"].needs == ("runs/lora-0",)
    rate = steps["grid/lora/lr-1e-03"].argv
    assert rate.count("--steps") == 1 and rate[rate.index("--steps") + 1] == "3"


def test_without_rates_every_recipe_has_its_own(tmp_path):
    steps = make_plan(make_board(tmp_path, rates=None)).steps
    assert not [name for name in steps if name.startswith("grid/")]
    assert {"runs/lora-0", "runs/lora-1"} <= set(steps) and "--lr-from" not in steps["runs/lora-0"].argv


def test_a_second_base_has_folders_of_its_own(tmp_path):
    board = make_board(tmp_path, base=f"[{tmp_path}/base, smollm2-135m]", grid="{widen: 1}")
    steps = make_plan(board).steps
    assert steps["smollm2-135m/grid/lora/lr-1e-03"].out == tmp_path / "work" / "smollm2-135m" / "grid/lora/lr-1e-03"
    assert steps["smollm2-135m/table"].out == tmp_path / "out" / "smollm2-135m"
    assert steps["smollm2-135m/entries/majority"].needs == ("results/majority",), "baselines read no base"
    assert set(steps["smollm2-135m/grid/lora"].needs) == {
        f"smollm2-135m/grid/{row}/lr-{rate}" for row in ("lora", "team") for rate in ("1e-03", "2e-03")
    }


def test_costs_are_grouped_by_total_rank(tmp_path):
    methods = (
        "{lora: {settings: {rank: 32}}, ada: {settings: {method: adalora, rank: 32}}, "
        "team: {settings: {method: teamlora, rank: 8, experts: 4}}, "
        "norm: {settings: {method: teamlora, rank: 8, experts: 4, gate_sum: 1}}}"
    )
    steps = make_plan(make_board(tmp_path, methods=methods, costs="true")).steps
    costs = {name: step for name, step in steps.items() if step.kind == "costs"}
    assert set(costs) == {"costs/rank-32", "costs/rank-48"} and all(step.alone for step in costs.values())
    argv = costs["costs/rank-32"].argv
    assert argv[argv.index("--methods") + 1] == "base,lora,teamlora,teamlora:gate_sum=1"
    assert "costs/rank-48" in steps["ratios/ada"].needs and "costs/rank-32" in steps["ratios/norm"].needs
    assert {"ratios/lora", "ratios/ada", "ratios/team", "ratios/norm"} <= set(steps["table"].needs)
    for name in ("ada", "norm"):
        assert not any(other.startswith("costs/") for other in steps[f"entries/{name}"].needs), (
            "a row appears before its costs"
        )


def test_stages_hold_what_can_run_together(tmp_path):
    board = make_board(tmp_path)
    now = survey(board)
    level = {name: number for number, names in enumerate(stages(now)) for name in names}
    assert set(level) == now.needed
    for name, number in level.items():
        assert all(level[other] < number for other in now.plan.steps[name].needs)
    first = command_lines(now, 1)
    assert [shlex.split(line)[:2] for line in first] == [["cme", "build-data"], ["cme", "eval"], ["cme", "eval"]]
    with pytest.raises(CMEError, match="stage 99 does not exist"):
        command_lines(now, 99)


def test_a_thousand_steps_are_planned(tmp_path):
    board = make_board(
        tmp_path,
        rates="[1e-4, 2e-4, 4e-4, 8e-4, 1.6e-3]",
        studies="{ranks: {of: [lora, team], vary: {rank: [1, 3, 5, 7, 9, 11, 13, 15], warmup: [0.01, 0.02, 0.04, 0.05]}}}",
        seeds="[0, 1, 2, 3, 4]",
    )
    assert len(make_plan(board).steps) > 1_000


def test_a_mirror_has_a_name_of_its_own(tmp_path):
    board = make_board(tmp_path, source="{path: /data/rows, name: cme-sample-1}")
    mix = make_plan(board).steps["mix"]
    assert mix.argv[1:3] == ("--source", "cme-sample-1=/data/rows") and mix.expects["source"] == "cme-sample-1"
    assert make_board(tmp_path, source="'mini:seed=3'").file.source_name == "mini:seed=3"
    with pytest.raises(CMEError, match=r"source: must be hub, mini, a mirror folder, or \{path: DIR"):
        make_board(tmp_path, source="{folder: /data/rows}")


def test_all_evaluations_have_the_prompt_format_of_the_recipes(tmp_path):
    board = make_board(tmp_path, methods="{lora: lora-r32, team: teamlora-r32}", analysis="true")
    for step in make_plan(board).steps.values():
        if step.kind in ("result", "analysis") and "--baseline" not in step.argv:
            assert step.argv[step.argv.index("--format") + 1] == "teamlora"


def test_all_digits_of_a_rate_and_of_settings_reach_the_commands(tmp_path):
    board = make_board(tmp_path, rates="[0.00123456789, 2e-3]", training="{steps: 6, warmup: 0.123456789}")
    step = next(iter(step for step in make_plan(board).steps.values() if step.kind == "rate"))
    assert step.argv[step.argv.index("--lr") + 1] == "0.00123456789" and step.expects["learning_rate"] == 0.00123456789
    assert step.argv[step.argv.index("--warmup") + 1] == "0.123456789"
    assert "0.00123456789,0.002" in make_plan(board).steps["grid/lora"].argv


def test_flags_write_what_the_command_line_reads():
    words = flags(
        {"steps": 3, "learning": 0.5, "competition": True, "collaboration": False, "options": {"a": [1, "x"]}}
    )
    assert words == ["--steps", "3", "--learning", "0.5", "--competition", "--no-collaboration", "--set", 'a=[1, "x"]']


def test_rates_as_text_of_yaml_1_1(tmp_path):
    assert make_board(tmp_path, rates="['1e-3', 2e-3]").file.rates == (1e-3, 2e-3)


def test_an_entry_gives_the_losses_of_its_grid_on_another_machine(tmp_path):
    board = demo_board(tmp_path)
    source = json.loads((DEMO / "entries" / "moelora.json").read_text())["source"]
    text = board.path.read_text().replace("retention: true", "retention: false")
    text = re.sub("source: .*", f"source: {source}", text)
    board.path.write_text(text)
    board = read_board(board.path, tmp_path / "work")
    losses = losses_of_entry(board, board.bases[0], board.row("moelora"))
    assert set(losses) == {1e-3, 2e-3, 4e-3, 8e-3} and min(losses, key=losses.get) == 4e-3


def test_rows_whose_options_change_the_costs_are_not_measured_with_the_defaults(tmp_path):
    methods = (
        "{lora: {settings: {rank: 16}}, even: {settings: {method: mola, rank: 2, experts: 8, options: {top_k: 3}}}, "
        "deep: {settings: {method: mola, rank: 2, experts: 8, options: {experts_pattern: {up_proj: 2}}}}, "
        "core: {settings: {method: comol, rank: 16, options: {core_router: false}}}}"
    )
    board = make_board(tmp_path, methods=methods, costs="true")
    assert [row.name for row in board.methods if has_costs(row)] == ["lora", "even"]
