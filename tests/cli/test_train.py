"""``cme train`` from the command line: grids, any method of PEFT, the whole model, and what is refused."""

import json

import pytest

from tests.training.conftest import base, mix  # noqa: F401 (fixtures)


@pytest.fixture
def common(base, mix):  # noqa: F811 (the fixtures)
    """Options of a run that takes a second."""
    given = {"--data": mix, "--base": base, "--steps": 3, "--batch-size": 2, "--max-length": 256, "--dtype": "float32"}
    return [*(str(item) for pair in given.items() for item in pair), "--threads", "1"]


def test_a_grid_prints_its_table_and_names_the_best_run(cme, common, tmp_path):
    out = tmp_path / "grid"
    grid = ("train", "--method", "lora", *common, "--lr-grid", "1e-4, 1e-3,1e-2", "--out", out)
    result = cme(*grid)
    assert result.exit_code == 0, result.stderr
    written = json.loads((out / "lr-grid.json").read_text())
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["0.0001", "0.001", "0.01"]
    (best,) = [line for line in lines if line.endswith("best")]
    assert float(best.split()[0]) == written["learning_rate"]
    assert str(out / written["best"]) in result.stderr
    assert ("edge of the grid" in result.stderr) == (written["learning_rate"] != 1e-3)
    again = cme(*grid)
    assert again.exit_code == 2 and "has the finished output" in again.stderr


@pytest.mark.long
def test_a_grid_over_ranks_and_a_run_with_what_it_chose(cme, common, tmp_path):
    out = tmp_path / "grid"
    result = cme("train", "--method", "lora", *common, "--lr-grid", "1e-4,1e-2", "--tune", "rank=2,4", "--out", out)
    assert result.exit_code == 0, result.stderr
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0][:3] == ["rank", "learning", "rate"]
    assert [line[:2] for line in lines[2:]] == [["2", "0.0001"], ["2", "0.01"], ["4", "0.0001"], ["4", "0.01"]]
    grid = json.loads((out / "lr-grid.json").read_text())
    (best,) = [run for run in grid["runs"] if run["folder"] == grid["best"]]
    more = cme(
        "train", "--method", "lora", *common, "--lr-from", out, "--seed", "1", "--out", tmp_path / "run", "--json"
    )
    record = json.loads(more.stdout)
    assert (record["adapter"]["rank"], record["adapter"]["alpha"]) == (
        best["settings"]["rank"],
        2 * best["settings"]["rank"],
    )
    assert record["training"]["learning_rate"] == best["learning_rate"]
    both = cme("train", "--method", "lora", *common, "--lr-from", out, "--rank", "8", "--out", tmp_path / "x")
    assert both.exit_code == 2 and "rank is chosen by the grid" in both.stderr


def test_any_method_of_peft_from_a_file(cme, common, tmp_path):
    (tmp_path / "dora.yaml").write_text("peft_type: LORA\nuse_dora: true\nr: 4\nlora_alpha: 8\n")
    command = ("train", *common, "--recipe", "demo-teamlora", "--peft-config", tmp_path / "dora.yaml")
    result = cme(*command, "--set", "r=2", "--out", tmp_path / "run", "--json")
    assert result.exit_code == 0, result.stderr
    record = json.loads(result.stdout)
    assert record["method"] == "dora" and record["adapter"]["options"]["r"] == 2
    counted = cme("params", "--peft-config", tmp_path / "dora.yaml", "--base", "chinese-llama-2-7b", "--json")
    assert counted.exit_code == 0, counted.stderr
    # By hand: LoRA of rank 4 on 32 layers of three projections 4096 and 11008, and DoRA's magnitudes (one per output).
    assert json.loads(counted.stdout)["trainable"] == 32 * (3 * 4 * (4096 + 11008) + 2 * 11008 + 4096)


def test_the_whole_model(cme, common, tmp_path):
    result = cme("train", "--method", "full", *common, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.stderr
    assert (
        "full: " in result.stderr
        and "(100.00 % of the base)" in result.stderr
        and "(model and run.json)" in result.stderr
    )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--method", "lora", "--lr-grid", "1e-4,fast"), "lr_grid is '1e-4,fast'. Give learning rates"),
        (("--method", "lora", "--lr-grid", "1e-4"), "at least two different learning rates"),
        (("--method", "lora", "--lr-grid", "1e-4,-1"), "-1 is not a valid learning rate"),
        (("--method", "lora", "--lr", "1e-3", "--lr-grid", "1e-4,1e-3"), "--lr and --lr-grid cannot be combined"),
        (("--method", "lora", "--tune", "rank=2,4"), "--tune needs --lr-grid"),
        (
            ("--method", "lora", "--lr-grid", "1e-4,1e-3", "--tune", "rank"),
            "--tune is 'rank'. Give a setting and its values",
        ),
        (
            ("--method", "lora", "--lr-grid", "1e-4,1e-3", "--tune", "rnk=2,4"),
            "tune: unknown setting 'rnk'. Did you mean",
        ),
        (
            ("--method", "full", "--lr-grid", "1e-4,1e-3", "--tune", "rank=2,4"),
            "tune: the method full has no settings that a grid can vary",
        ),
        (("--method", "full", "--rank", "4"), "full has no setting 'rank' (it has none)"),
        (("--method", "lora", "--rank", "0"), "rank: must be at least 1, found 0"),
        (("--method", "teamlora", "--experts", "0"), "experts: must be at least 1, found 0"),
        (("--method", "adalora", "--set", "tinitt=3"), "unknown option 'tinitt' (did you mean 'tinit'?)"),
        (("--method", "adalora", "--set", "r=3"), "unknown option 'r'"),
        (("--method", "lora", "--target-modules", "no_such_proj"), "no_such_proj"),
        (("--method", "adalora", "--steps", "2"), "at least 3 steps to prune ranks, but the run has 2"),
        (("--method", "adalora", "--set", "init_r=8"), "init_r must be above the rank"),
        (("--method", "peft"), "peft_type is missing"),
        (("--method", "peft", "--set", "peft_type=DORA"), "unknown peft_type 'DORA'"),
        (("--peft-config", "nowhere.yaml"), "the file nowhere.yaml does not exist"),
        (("--peft-config", "nowhere.yaml", "--method", "lora"), "peft_config and method 'lora' cannot be combined"),
    ],
)
def test_what_does_not_fit_is_one_message(cme, common, tmp_path, options, says):
    result = cme("train", *common, *options, "--out", tmp_path / "run")
    assert result.exit_code == 2 and says in result.stderr, result.stderr
    assert not (tmp_path / "run").exists(), "the folder was taken"
