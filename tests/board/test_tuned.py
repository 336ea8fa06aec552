"""Rows whose grid chooses settings of the adapter together with the learning rate."""

import json
import shutil

import pytest

import cme
from cme.board.board import read_board
from cme.board.choice import Facts
from cme.board.plan import make_plan
from cme.board.run import run_board
from cme.board.state import survey
from cme.errors import CMEError, UsageError
from tests.board import disturb
from tests.board.fakes import FakePool, make_board, run_fake, write_board

METHODS = "{lora: {settings: {rank: 4}}, lora-tuned: {settings: {method: lora}, tune: {rank: [2, 8, 16]}}}"
CELLS = ("rank-2", "rank-8", "rank-16")
RATES = ("lr-1e-03", "lr-2e-03")


def tuned_board(root, **changes):
    return make_board(root, methods=METHODS, **changes)


class Tuned(FakePool):
    """A pool in which the loss depends on the step, such as ``grid/lora-tuned/rank-8-lr-1e-03``."""

    def start(self, step, command):
        super().start(step, command)
        self.losses[step.row, step.rate] = self.losses.get(step.name, 0.5)


def run_tuned(board, losses, **options):
    pool = Tuned(board, jobs=1, losses=dict(losses), **options)
    return run_board(board, lambda: pool), pool


def test_every_rank_is_trained_with_every_rate_and_then_the_best(tmp_path):
    board = tuned_board(tmp_path)
    ran, pool = run_tuned(board, {"grid/lora-tuned/rank-8-lr-2e-03": 0.3, "grid/lora/lr-1e-03": 0.2})
    assert not ran.failed and not ran.left
    cells = [name for name in pool.started if name.startswith("grid/lora-tuned/")]
    assert sorted(cells) == sorted(f"grid/lora-tuned/{cell}-{rate}" for cell in CELLS for rate in RATES)
    words = pool.commands["grid/lora-tuned/rank-16-lr-1e-03"].argv
    assert words[words.index("--rank") + 1] == "16" and "--alpha" not in words, "alpha is twice the rank by default"
    grid, run = pool.commands["grid/lora-tuned"].argv, pool.commands["runs/lora-tuned-1"].argv
    assert grid[grid.index("--tune") + 1] == "rank=2,8,16" and grid[grid.index("--lr-grid") + 1] == "0.001,0.002"
    assert "--rank" not in run and run[run.index("--lr-from") + 1].endswith("grid/lora-tuned"), (
        "the grid gives the rank"
    )
    entry = survey(board).plan.steps["entries/lora-tuned"]
    assert entry.expects["settings"]["rank"] == 8 and entry.expects["settings"]["alpha"] == 16.0
    assert entry.expects["cells"] == tuple({"rank": rank} for rank in (2, 8, 16))
    assert run_fake(board)[1].started == [], "a finished board runs nothing"


def test_the_scale_of_the_recipe_is_kept(tmp_path):
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("training: {data: mix}\nadapter: {method: lora, alpha: 8}\n")
    methods = f"{{t: {{recipe: {recipe}, tune: {{rank: [4, 16]}}}}}}"
    plan = make_plan(make_board(tmp_path, methods=methods))
    words = plan.steps["grid/t/rank-16-lr-1e-03"].argv
    assert words[words.index("--alpha") + 1] == "16", "alpha / rank is 8 / 8 in the recipe"
    assert "--alpha" not in plan.steps["grid/t"].argv and "--alpha" not in plan.steps["runs/t-1"].argv


def test_an_alpha_beside_a_rank_that_the_grid_chooses_is_refused(tmp_path):
    """The commands of the board would have --alpha beside --tune rank or --lr-from, which cme train refuses."""
    methods = "{t: {settings: {method: lora, alpha: 8}, tune: {rank: [4, 16]}}}"
    with pytest.raises(
        UsageError, match=r"t: alpha is in settings, but the grid chooses the rank.* Put alpha into a recipe"
    ):
        make_board(tmp_path, methods=methods)
    fixed = make_board(tmp_path, methods="{t: {settings: {method: lora}, tune: {rank: [4, 16], alpha: [8]}}}")
    grid = make_plan(fixed).steps["grid/t"].argv
    assert [grid[place + 1] for place, word in enumerate(grid) if word == "--tune"] == ["rank=4,16", "alpha=8"]


def test_a_study_does_not_take_the_rate_of_another_method(tmp_path):
    """The commands would have --lr-from with the grid of another method, which cme train refuses."""
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("training: {data: mix}\nadapter: {method: peft, options: {peft_type: LORA, r: 4}}\n")
    board = {"methods": f"{{t: {{recipe: {recipe}}}}}", "rates": "[1e-3, 2e-3]"}
    study = "{{s: {{of: [t], vary: {{options: [{{use_dora: false}}, {{use_dora: true}}]}}, rates: {}}}}}"
    with pytest.raises(
        UsageError, match=r"study s: .* is dora and cannot take the learning rate of lora\. Use rates: grid"
    ):
        make_board(tmp_path, studies=study.format("method"), **board)
    assert len(make_board(tmp_path, studies=study.format("grid"), **board).rows) == 3
    assert len(make_board(tmp_path, studies=study.format("method"), **board | {"rates": "[]"}).rows) == 3


def test_a_rank_that_is_added_later_trains_only_its_own_cells(tmp_path):
    board = tuned_board(tmp_path)
    run_tuned(board, {"grid/lora-tuned/rank-8-lr-2e-03": 0.3})
    wider = make_board(tmp_path, methods=METHODS.replace("16]", "16, 32]"))
    ran, pool = run_tuned(wider, {})
    assert not ran.failed
    trained = [name for name in pool.started if name.startswith(("grid/", "runs/"))]
    assert trained == [f"grid/lora-tuned/rank-32-{rate}" for rate in RATES] + ["grid/lora-tuned"]
    assert [name for name in pool.started if name.startswith("entries/")] == ["entries/lora-tuned"]


def test_the_grid_is_widened_for_the_best_cell_only(tmp_path):
    """Rank 2 is best at the upper edge, but rank 8 is better at another rate, so nothing is widened."""
    board = tuned_board(tmp_path, grid="{widen: 1}", rates="[1e-3, 2e-3, 4e-3]")
    base = board.bases[0].label
    inside = {1e-3: 0.9, 2e-3: 0.5, 4e-3: 0.9}
    losses = {(base, "lora"): inside, (base, "lora-tuned/rank-2"): {1e-3: 0.9, 2e-3: 0.8, 4e-3: 0.7}}
    losses |= {(base, "lora-tuned/rank-8"): inside, (base, "lora-tuned/rank-16"): dict.fromkeys(inside)}
    plan = make_plan(board, Facts(losses))
    assert set(plan.rates.values()) == {(1e-3, 2e-3, 4e-3)} and plan.chosen[base, "lora-tuned"] == 2e-3
    assert plan.cells[base, "lora-tuned"].adapter.rank == 8
    losses[base, "lora-tuned/rank-2"] = {1e-3: 0.9, 2e-3: 0.8, 4e-3: 0.4}
    plan = make_plan(board, Facts(losses))
    assert set(plan.rates.values()) == {(1e-3, 2e-3, 4e-3, 8e-3)} and not plan.chosen, "all rows get the new rate"
    del losses[base, "lora-tuned/rank-16"]
    assert not make_plan(board, Facts(losses)).chosen, "the choice waits for all cells"


def test_costs_are_measured_at_the_chosen_rank(tmp_path):
    board = tuned_board(tmp_path, costs="{rounds: 2}")
    groups = {name for name in make_plan(board).steps if name.startswith("costs/")}
    assert groups == {"costs/rank-4"}, "the rank is not known yet"
    run_tuned(board, {"grid/lora-tuned/rank-16-lr-1e-03": 0.1})
    plan = survey(board).plan
    assert {name for name in plan.steps if name.startswith("costs/")} == {"costs/rank-4", "costs/rank-16"}
    words = plan.steps["ratios/lora-tuned"].argv
    assert words[words.index("--bench") + 1].endswith("costs/rank-16")


def test_runs_of_another_rank_are_named_and_kept(tmp_path):
    board = tuned_board(tmp_path)
    run_tuned(board, {"grid/lora-tuned/rank-8-lr-2e-03": 0.3})
    run = tmp_path / "work" / "grid" / "lora-tuned" / "rank-16-lr-1e-03" / "run.json"
    run.write_text(json.dumps(json.loads(run.read_text()) | {"validation_loss": 0.1}))
    problem = survey(board).states["runs/lora-tuned-1"].problem
    assert "rank: 8 there, 16 on this board" in problem


def test_a_row_that_is_no_longer_tuned_is_named_before_anything_runs(tmp_path):
    """The chosen rank is that of the new row, so only the varied settings distinguish the grids."""
    run_tuned(tuned_board(tmp_path), {"grid/lora-tuned/rank-8-lr-2e-03": 0.3})
    plain = make_board(tmp_path, methods="{lora: {settings: {rank: 4}}, lora-tuned: {settings: {method: lora}}}")
    with pytest.raises(
        CMEError, match=r"grid/lora-tuned has work with other settings \(tune: \{'rank': \[2, 8, 16\]\} there"
    ):
        run_tuned(plain, {})


def test_an_entry_elsewhere_needs_no_runs(tmp_path):
    board = tuned_board(tmp_path)
    run_tuned(board, {"grid/lora-tuned/rank-8-lr-2e-03": 0.3})
    path = tmp_path / "out" / "entries" / "lora-tuned.json"
    entry = json.loads(path.read_text())
    for run in entry["lr_grid"]["runs"]:
        run["validation_loss"] = 0.3 if (run["settings"], run["learning_rate"]) == ({"rank": 8}, 2e-3) else 0.5
    path.write_text(json.dumps(entry))
    shutil.rmtree(tmp_path / "work")
    now = survey(board)
    assert now.needed == {"table"} and now.plan.cells[board.bases[0].label, "lora-tuned"].adapter.rank == 8


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"methods": "{l: {settings: {method: lora}, tune: {rank: [8]}}}"}, "tune has one value only"),
        ({"methods": "{l: {settings: {method: lora}, tune: {rnk: [8, 9]}}}"}, "unknown setting 'rnk'. Did you mean"),
        ({"methods": "{l: {settings: {method: lora}, tune: {rank: [0, 8]}}}"}, "methods, l: tune"),
        ({"methods": "{l: {settings: {method: lora}, tune: {rank: []}}}"}, "tune: rank is []. Give a list"),
        ({"methods": "{l: {settings: {method: lora}, tune: {dropout: [0, 0.0]}}}"}, "dropout: 0.0 is given twice"),
        (
            {"methods": "{l: {settings: {method: lora, rank: 4}, tune: {rank: [8, 9]}}}"},
            "rank is in settings and in tune",
        ),
        ({"methods": METHODS, "rates": None}, "tune needs a grid. Give rates"),
        (
            {"methods": METHODS, "studies": "{s: {of: lora-tuned, vary: {dropout: [0.0, 0.1]}}}"},
            "the grid of lora-tuned chooses settings (tune)",
        ),
    ],
)
def test_a_wrong_tune_is_one_message(tmp_path, changes, message):
    with pytest.raises(CMEError) as caught:
        read_board(write_board(tmp_path, **changes))
    assert message in str(caught.value)


@pytest.mark.long
def test_a_whole_board_with_a_tuned_row(tmp_path, tiny_base):
    """Through the command line: the grid, the runs, the entry with all cells, the check of the choice, and the tables."""
    path = disturb.write(tmp_path, tiny_base, steps=4, rates="[1e-3, 1e-2]", seeds="[0, 1]")
    text = path.read_text().replace("tier: smoke", "tier: quick")
    path.write_text(
        text.replace("methods:", "methods:\n  lora-tuned: {settings: {method: lora}, tune: {rank: [2, 8]}}")
    )
    code, errors = disturb.finish(path)
    assert code == 0, errors
    entry = json.loads((tmp_path / "out" / "entries" / "lora-tuned.json").read_text())
    runs = entry["lr_grid"]["runs"]
    assert [(run["settings"]["rank"], run["learning_rate"]) for run in runs] == [
        (2, 1e-3),
        (2, 1e-2),
        (8, 1e-3),
        (8, 1e-2),
    ]
    best = min(runs, key=lambda run: run["validation_loss"])
    assert (
        entry["settings"]["rank"] == best["settings"]["rank"]
        and entry["settings"]["alpha"] == 2 * entry["settings"]["rank"]
    )
    assert {run["seed"] for run in entry["runs"]} == {0, 1}
    trained = json.loads((tmp_path / "work" / "runs" / "lora-tuned-1" / "run.json").read_text())
    assert trained["adapter"]["rank"] == best["settings"]["rank"]
    assert all(verdict.ok for verdict in cme.verify_board(tmp_path / "out"))
    markdown = (tmp_path / "out" / "leaderboard.md").read_text()
    assert f"rank {best['settings']['rank']}" in markdown and "4 runs" in markdown
    assert cme.run_board(path).done == ()
