"""A grid of learning rates: every rate has its own run, the lowest validation loss is chosen, and a grid can be resumed."""

import json
import subprocess
import sys
from statistics import median

import pytest

from cme.adapters import AdapterSettings
from cme.errors import CMEError, UsageError
from cme.records import GridRun, Run, chosen_rate, chosen_settings, read_record
from cme.training import recipe_text, train
from cme.training.grid import GRID, Grid, folder_of, train_grid

from .conftest import ROWS, write_mix
from .test_resume import interrupted

LORA = AdapterSettings("lora", rank=4, alpha=8.0)


def test_the_rate_with_the_lowest_validation_loss_is_chosen(settings, tmp_path):
    given, out = settings(), tmp_path / "grid"
    grid = train_grid(given, LORA, [1e-2, 1e-5, 1e-3], out=out)
    assert [run.learning_rate for run in grid.runs] == [1e-5, 1e-3, 1e-2]
    assert [run.folder for run in grid.runs] == ["lr-1e-05", "lr-1e-03", "lr-1e-02"]
    alone = train(settings(learning_rate=1e-3), LORA, out=tmp_path / "alone")
    inside = read_record(out / "lr-1e-03" / "run.json", Run)
    assert inside.adapter_fingerprint == alone.adapter_fingerprint
    assert grid.runs[1].validation_loss == alone.validation_loss and grid.runs[1].last_loss == alone.losses[-1][1]
    lowest = min(grid.runs, key=lambda run: run.validation_loss)
    assert (grid.best, grid.learning_rate, grid.steps) == (lowest.folder, lowest.learning_rate, 12)
    assert (out / grid.best / "adapter_model.safetensors").is_file() and grid.at_edge
    assert read_record(out / GRID, Grid) == grid
    norms = [float(line.split(",")[4]) for line in (out / grid.best / "curve.csv").read_text().splitlines()[1:]]
    assert lowest.grad_norm == median(norms) > 0
    with pytest.raises(UsageError, match="finished output"):
        train_grid(given, LORA, [1e-2, 1e-5, 1e-3], out=out)


def test_an_interrupted_grid_goes_on(settings, tmp_path, monkeypatch):
    given, out, rates = settings(), tmp_path / "grid", [1e-3, 1e-2]
    train_first = train

    def only_the_first(settings, adapter, *, out):
        if settings.learning_rate == 1e-2:
            interrupted(monkeypatch, settings, adapter, out, step=7)
            raise KeyboardInterrupt
        return train_first(settings, adapter, out=out)

    with monkeypatch.context() as patch:
        patch.setattr("cme.training.grid.train", only_the_first)
        with pytest.raises(KeyboardInterrupt):
            train_grid(given, LORA, rates, out=out)
    assert json.loads((out / GRID).read_text())["best"] is None
    before = (out / "lr-1e-03" / "run.json").read_bytes()
    with pytest.raises(UsageError, match="lr_grid"):
        train_grid(given, LORA, [1e-3, 2e-2], out=out)
    grid = train_grid(given, LORA, rates, out=out)
    assert (out / "lr-1e-03" / "run.json").read_bytes() == before
    assert read_record(out / "lr-1e-02" / "run.json", Run).interruptions == 1 and grid.best


def test_a_rate_that_diverges_is_recorded_and_not_chosen(settings, tmp_path):
    grid = train_grid(settings(), LORA, [1e-3, 1e38], out=tmp_path / "grid")
    assert grid.best == "lr-1e-03" and "training diverged" in grid.runs[1].problem
    assert grid.runs[1].validation_loss is None
    with pytest.raises(CMEError, match=r"diverged at every rate of the grid \(1e\+37, 1e\+38\)"):
        train_grid(settings(), LORA, [1e37, 1e38], out=tmp_path / "none")


@pytest.mark.parametrize(
    ("rates", "says"),
    [
        ([1e-3], "at least two different learning rates"),
        ([1e-3, 1e-3], "at least two different"),
        ([1e-3, 1e-3, 2e-3], "twice"),
        ([1e-3, -1.0], "-1 is not a valid learning rate"),
        ([1e-3, float("nan")], "nan is not a valid learning rate"),
    ],
)
def test_rates_that_make_no_grid(settings, tmp_path, rates, says):
    with pytest.raises(UsageError, match=says):
        train_grid(settings(), LORA, rates, out=tmp_path / "grid")
    assert not (tmp_path / "grid").exists()


def test_a_mix_without_a_validation_split_is_refused(settings, tmp_path):
    mix = write_mix(tmp_path / "mix", [ROWS[:20]])
    with pytest.raises(UsageError, match="no validation split"):
        train_grid(settings(data=str(mix)), LORA, [1e-3, 1e-2], out=tmp_path / "grid")


def test_folder_names():
    assert [folder_of(rate) for rate in (5e-4, 2.5e-4, 1.0)] == ["lr-5e-04", "lr-2.5e-04", "lr-1e+00"]


@pytest.mark.long
def test_two_processes_share_a_grid(settings, tmp_path):
    (tmp_path / "recipe.yaml").write_text(recipe_text(settings(batch_size=2), LORA))
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc_per_node",
        "2",
        "-m",
        "cme",
        "train",
    ]
    command += ["--recipe", str(tmp_path / "recipe.yaml"), "--lr-grid", "1e-3,1e-2", "--out", str(tmp_path / "two")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    two = read_record(tmp_path / "two" / GRID, Grid)
    one = train_grid(settings(), LORA, [1e-3, 1e-2], out=tmp_path / "one")
    assert two.best == one.best
    losses, wanted = ([run.validation_loss for run in grid.runs] for grid in (two, one))
    assert losses == pytest.approx(wanted, rel=1e-4)


def test_runs_that_were_trained_one_by_one_are_chosen_from(settings, tmp_path):
    """Each rate may be trained by a command of its own, on another machine for instance."""
    rates, out = [1e-3, 1e-2], tmp_path / "grid"
    for rate in rates:
        train(settings(learning_rate=rate), LORA, out=out / folder_of(rate))
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    grid = train_grid(settings(), LORA, rates, out=out)
    assert {path: path.read_bytes() for path in before} == before, "nothing is trained again"
    together = train_grid(settings(), LORA, rates, out=tmp_path / "together")
    assert grid == together
    assert (out / GRID).read_bytes() == (tmp_path / "together" / GRID).read_bytes()


def test_a_grid_is_widened_later(settings, tmp_path):
    out = tmp_path / "grid"
    train_grid(settings(), LORA, [1e-3, 1e-2], out=out)
    before = (out / "lr-1e-03" / "run.json").read_bytes()
    grid = train_grid(settings(), LORA, [1e-3, 1e-2, 1e-1], out=out)
    assert [run.learning_rate for run in grid.runs] == [1e-3, 1e-2, 1e-1]
    assert (out / "lr-1e-03" / "run.json").read_bytes() == before
    with pytest.raises(UsageError, match="finished output"):
        train_grid(settings(), LORA, [1e-3, 1e-2, 1e-1], out=out)
    with pytest.raises(UsageError, match="lr_grid"):
        train_grid(settings(), LORA, [1e-3, 1e-2], out=out)
    with pytest.raises(UsageError, match="steps: 12 there, 13 now"):
        train_grid(settings(steps=13), LORA, [1e-3, 1e-2, 1e-1, 1.0], out=out)


@pytest.mark.parametrize(("there", "here"), [(None, 4.0), (4.0, None)])
def test_a_run_with_and_one_without_the_ratio_of_lora_plus_are_told_apart(settings, tmp_path, there, here):
    given = settings(learning_rate=1e-3, b_learning_rate_ratio=there)
    train(given, LORA, out=tmp_path / "grid" / "lr-1e-03")
    with pytest.raises(UsageError, match=f"b_learning_rate_ratio: {there} there, {here} now"):
        train_grid(settings(b_learning_rate_ratio=here), LORA, [1e-3, 1e-2], out=tmp_path / "grid")


def test_a_run_with_other_settings_is_not_chosen_from(settings, tmp_path):
    train(settings(learning_rate=1e-3, steps=3), LORA, out=tmp_path / "grid" / "lr-1e-03")
    with pytest.raises(UsageError, match=r"lr-1e-03 has a run with other settings \(steps: 3 there, 12 now\)"):
        train_grid(settings(), LORA, [1e-3, 1e-2], out=tmp_path / "grid")
    (tmp_path / "other" / "notes").mkdir(parents=True)
    with pytest.raises(UsageError, match="not empty"):
        train_grid(settings(), LORA, [1e-3, 1e-2], out=tmp_path / "other")


def with_marker(folder, **changes):
    """Change what the marker of a run says, as a run on another base or machine would."""
    values = json.loads((folder / ".cme.json").read_text())
    values["settings"] |= changes
    (folder / ".cme.json").write_text(json.dumps(values))


def test_runs_on_another_base_or_in_another_dtype_are_not_chosen_from(settings, tmp_path, monkeypatch):
    """Losses of two bases, or of two dtypes, do not say which rate is better."""
    out, rates = tmp_path / "grid", [1e-3, 1e-2]
    for rate in rates:
        train(settings(learning_rate=rate), LORA, out=out / folder_of(rate))
    monkeypatch.setattr("cme.training.grid.pick_dtype", lambda dtype: "float32" if dtype == "auto" else dtype)
    kept = (out / "lr-1e-02" / ".cme.json").read_bytes()
    with_marker(out / "lr-1e-02", base_fingerprint="b" * 64)
    with pytest.raises(UsageError, match=r"lr-1e-02 has a run with other settings \(base_fingerprint: 'bbb"):
        train_grid(settings(dtype="auto"), LORA, rates, out=out)
    (out / "lr-1e-02" / ".cme.json").write_bytes(kept)
    with_marker(out / "lr-1e-02", dtype="bfloat16")
    with pytest.raises(UsageError, match=r"lr-1e-02 .*dtype: 'bfloat16' there, 'float32' now"):
        train_grid(settings(dtype="auto"), LORA, rates, out=out)
    with_marker(out / "lr-1e-03", dtype="bfloat16")
    with pytest.raises(
        UsageError, match=r"lr-1e-03 has a run in bfloat16, but --dtype is float32.* Give --dtype bfloat16"
    ):
        train_grid(settings(dtype="float32"), LORA, rates, out=out)
    with pytest.raises(UsageError, match="in bfloat16, but 'auto' is float32 on this machine"):
        train_grid(settings(dtype="auto"), LORA, [*rates, 1e-1], out=out)
    grid = train_grid(settings(dtype="auto"), LORA, rates, out=out)
    assert grid.best, "nothing is trained here, so the machine's own dtype does not matter"


def test_a_grid_records_of_what_it_is_and_is_not_continued_on_another_base(settings, tmp_path, monkeypatch):
    given, out = settings(), tmp_path / "grid"
    grid = train_grid(given, LORA, [1e-3, 1e-2], out=out)
    run = read_record(out / grid.best / "run.json", Run)
    assert (grid.base_fingerprint, grid.mix_fingerprint) == (run.base_fingerprint, run.mix_fingerprint)
    assert (grid.seed, grid.dtype, grid.adapter) == (given.seed, "float32", run.adapter)
    marker = json.loads((out / ".cme.json").read_text())
    assert marker["settings"]["base_fingerprint"] == run.base_fingerprint
    with monkeypatch.context() as patch:
        patch.setattr("cme.training.grid.base_fingerprint", lambda base: "b" * 64)
        with pytest.raises(UsageError, match="base_fingerprint: "):
            train_grid(given, LORA, [1e-3, 1e-2, 1e-1], out=out)


def test_a_grid_that_an_earlier_version_began_goes_on(settings, tmp_path):
    from cme.files import digest

    out = tmp_path / "grid"
    train_grid(settings(), LORA, [1e-3, 1e-2], out=out)
    marker = json.loads((out / ".cme.json").read_text())
    del marker["settings"]["base_fingerprint"]
    marker |= {"digest": digest(marker["settings"]), "finished": False}
    (out / ".cme.json").write_text(json.dumps(marker))
    values = json.loads((out / GRID).read_text())
    for key in ("seed", "base_fingerprint", "mix_fingerprint", "dtype", "adapter"):
        del values[key]
    (out / GRID).write_text(json.dumps(values))
    assert (
        read_record(out / GRID, Grid).differences(
            "other", "other", read_record(next(out.glob("*/run.json")), Run).adapter
        )
        == []
    )
    assert train_grid(settings(), LORA, [1e-3, 1e-2], out=out).adapter is not None


def test_a_rate_is_not_taken_from_the_grid_of_another_base_mix_or_rank(settings, tmp_path, monkeypatch):
    import cme
    from cme.api.training_settings import settings_of

    out, given = tmp_path / "grid", settings()
    grid = train_grid(given, LORA, [1e-3, 1e-2], out=out)
    common = {
        "recipe": None,
        "peft_config": None,
        "data": given.data,
        "base": given.base,
        "method": "lora",
        "lr_from": out,
    }
    taken = settings_of(common | {"rank": 4, "alpha": 8.0, "steps": 99})
    assert taken[0].learning_rate == grid.learning_rate, "boards choose the rate with fewer steps"
    with pytest.raises(UsageError, match=rf"rank 4 there, 64 here.* give it as lr={grid.learning_rate} "):
        cme.train(tmp_path / "run", data=given.data, base=given.base, method="lora", rank=64, lr_from=out)
    with pytest.raises(UsageError, match=r"\(dropout 0.0 there, 0.5 here\)"):
        settings_of(common | {"rank": 4, "dropout": 0.5})
    write_mix(tmp_path / "other-mix", [ROWS[:4]])
    with pytest.raises(UsageError, match=r"\(mix \w{12} there, \w{12} here\)"):
        settings_of(common | {"rank": 4, "data": tmp_path / "other-mix"})
    monkeypatch.setattr("cme.models.load.base_fingerprint", lambda base: "b" * 64)
    with pytest.raises(UsageError, match=r"\(base \w{12} there, bbbbbbbbbbbb here\)"):
        settings_of(common | {"rank": 4})
    assert not (tmp_path / "run").exists()


def test_divergence_is_recorded_in_the_folder_of_the_run(settings, tmp_path):
    from cme.errors import DivergedError

    out = tmp_path / "grid"
    with pytest.raises(DivergedError):
        train(settings(learning_rate=1e38), LORA, out=out / "lr-1e+38")
    assert "training diverged" in json.loads((out / "lr-1e+38" / "diverged.json").read_text())["problem"]
    train(settings(learning_rate=1e-3), LORA, out=out / "lr-1e-03")
    grid = train_grid(settings(), LORA, [1e-3, 1e38], out=out)
    assert grid.best == "lr-1e-03" and "training diverged" in grid.runs[1].problem


def test_a_grid_stands_for_its_best_run_and_its_rate(settings, tmp_path):
    import cme

    out = tmp_path / "grid"
    grid = train_grid(settings(), LORA, [1e-3, 1e-2], out=out)
    given = settings()
    run = cme.train(
        tmp_path / "seed-1", data=given.data, base=given.base, method="lora", rank=4, steps=2, seed=1, lr_from=out, threads=1,
        dtype="float32", max_length=256, batch_size=4,
    )  # fmt: skip
    assert run.record.training.learning_rate == grid.learning_rate
    with pytest.raises(UsageError, match="lr and lr_from cannot be combined"):
        cme.train(tmp_path / "x", data=given.data, method="lora", lr=1e-3, lr_from=out)
    with pytest.raises(CMEError, match=r"lr-grid\.json does not exist"):
        cme.train(tmp_path / "x", data=given.data, method="lora", lr_from=tmp_path / "nothing")
    result = cme.evaluate(
        out, base=given.base, source="mini", tier="smoke", datasets="rte", threads=1, out=tmp_path / "r"
    )
    assert result.record.adapter.fingerprint == read_record(out / grid.best / "run.json", Run).adapter_fingerprint


@pytest.mark.long
def test_a_grid_chooses_the_rank_too(settings, tmp_path):
    """Every rank is trained with every rate, at one alpha / rank, and the lowest validation loss of all is chosen."""
    out, rates, tune = tmp_path / "grid", [1e-5, 1e-2], {"rank": [2, 8]}
    train(settings(learning_rate=1e-2), AdapterSettings("lora", rank=8, alpha=16.0), out=out / "rank-8-lr-1e-02")
    before = (out / "rank-8-lr-1e-02" / "run.json").read_bytes()
    grid = train_grid(settings(), LORA, rates, out=out, tune=tune)
    assert (out / "rank-8-lr-1e-02" / "run.json").read_bytes() == before, "a run that is there is not trained again"
    cells = [(run.settings, run.learning_rate) for run in grid.runs]
    assert cells == [({"rank": rank}, rate) for rank in (2, 8) for rate in rates]
    assert [run.folder for run in grid.runs][1:3] == ["rank-2-lr-1e-02", "rank-8-lr-1e-05"]
    assert grid.chosen == min(grid.runs, key=lambda run: run.validation_loss) and grid.tuned and grid.at_edge
    chosen = read_record(out / grid.best / "run.json", Run)
    assert chosen.adapter.rank == grid.chosen.settings["rank"] and chosen.adapter.alpha == 2 * chosen.adapter.rank
    assert (chosen_rate(out), chosen_settings(out)) == (grid.learning_rate, grid.chosen.settings)
    wider = train_grid(settings(), LORA, rates, out=out, tune={"rank": [2, 4, 8]})
    assert [run.settings["rank"] for run in wider.runs] == [2, 2, 4, 4, 8, 8], "values can be added later"
    with pytest.raises(UsageError, match="tune"):
        train_grid(settings(), LORA, rates, out=out)


def test_only_one_rate_of_a_rank_may_be_at_the_edge():
    def run(rank, rate, loss):
        folder = folder_of(rate, {"rank": rank})
        return GridRun(
            learning_rate=rate,
            folder=folder,
            validation_loss=loss,
            last_loss=1.0,
            problem=None,
            settings={"rank": rank},
        )

    runs = [run(2, 1e-3, 0.5), run(2, 1e-2, 0.3), run(2, 1e-1, 0.6), run(4, 1e-3, 0.7), run(4, 1e-2, 0.8)]
    grid = Grid(method="lora", steps=3, runs=tuple(runs), best="rank-2-lr-1e-02", learning_rate=1e-2)
    assert not grid.at_edge, "the rate has neighbours at its own rank"
    assert grid.replace(best="rank-4-lr-1e-03", learning_rate=1e-3).at_edge


@pytest.mark.parametrize(
    ("chosen", "edges"),
    [
        ({"rank": 4, "dropout": 0.1, "bias": True}, ["dropout"]),
        ({"rank": 8, "dropout": 0.0, "bias": False}, ["rank", "dropout"]),
        ({"rank": 4}, []),
        ({"name": "a"}, []),
        (None, []),
    ],
)
def test_settings_at_the_edge_of_their_values_are_named(chosen, edges):
    """A setting with one value, a switch, and a setting that is a word have no edge."""

    def run(settings):
        folder = folder_of(1e-3, settings)
        return GridRun(
            learning_rate=1e-3, folder=folder, validation_loss=0.5, last_loss=1.0, problem=None, settings=settings
        )

    others = [{**chosen, "rank": rank, "dropout": rank / 80} for rank in (2, 8)] if chosen and "rank" in chosen else []
    runs = [run(settings) for settings in [chosen, *others]]
    grid = Grid(method="lora", steps=3, runs=tuple(runs), best=runs[0].folder, learning_rate=1e-3)
    assert grid.settings_at_edge == edges


@pytest.mark.parametrize(
    ("tune", "says"),
    [
        ({"experts": [2, 4]}, "tune: unknown setting 'experts'. Known: alpha, dropout, rank"),
        ({"rank": []}, r"tune: rank is \[\]. Give a list of values"),
        ({"rank": "8,16"}, "Give a list of values"),
        ({"rank": [8, 8]}, "tune: rank: 8 is given twice"),
        ({"alpha": [16, 16.0]}, "tune: alpha: 16.0 is given twice"),
        ({"rank": [0]}, "tune: rank"),
        ({"rank": [[8]]}, "Give numbers or words"),
    ],
)
def test_settings_that_cannot_be_tuned(settings, tmp_path, tune, says):
    with pytest.raises(UsageError, match=says):
        train_grid(settings(), LORA, [1e-3, 1e-2], out=tmp_path / "grid", tune=tune)
    assert not (tmp_path / "grid").exists()


def test_points_that_the_method_refuses_are_listed_before_any_training(settings, tmp_path):
    mola = AdapterSettings("mola", rank=2, experts=4)
    with pytest.raises(UsageError, match=r"^tune: experts=1: experts must be at least top_k \(2\)"):
        train_grid(settings(), mola, [1e-3, 1e-2], out=tmp_path / "grid", tune={"experts": [1, 2, 4]})
    with pytest.raises(UsageError) as raised:
        train_grid(settings(), mola, [1e-3, 1e-2], out=tmp_path / "grid", tune={"experts": [-1, 0, 4]})
    assert "experts=-1: " in str(raised.value) and "experts=0: " in str(raised.value)
    assert not (tmp_path / "grid").exists()
