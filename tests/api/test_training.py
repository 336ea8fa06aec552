"""A training run and a grid as Python users handle them."""

import inspect
import os
from dataclasses import fields

import pytest

import cme
from cme.adapters.settings import AdapterSettings
from cme.api.training_settings import settings_of
from cme.errors import UsageError
from cme.records import GridRun
from cme.records.grid import folder_of
from tests.leaderboard.tuned import write_grid
from tests.training.conftest import base, mix  # noqa: F401 (fixtures)

SHORT = {"method": "lora", "rank": 2, "steps": 3, "batch_size": 2, "max_length": 256, "dtype": "float32", "threads": 1}


def test_a_run_is_trained_and_evaluated(base, mix, tmp_path):  # noqa: F811 (the fixtures)
    run = cme.train(tmp_path / "run", data=mix, base=str(base), lr=1e-3, **SHORT)
    assert run.record.steps == 3 and run.record.training.learning_rate == 1e-3
    assert run.to_frame().columns.tolist() == ["step", "loss"] and os.fspath(run) == str(tmp_path / "run")
    assert "lora trained on" in repr(run) and "<table" in run._repr_html_()
    result = cme.evaluate(adapter=run, base=str(base), source="mini", tier="smoke", datasets="rte", threads=1)
    assert result.record.adapter.fingerprint == run.record.adapter_fingerprint and result.name == "run"


def test_a_grid_and_its_best_run(base, mix, tmp_path):  # noqa: F811 (the fixtures)
    grid = cme.train_grid(tmp_path / "grid", [1e-4, 1e-2], data=mix, base=str(base), **SHORT)
    frame = grid.to_frame()
    assert frame["learning_rate"].tolist() == [1e-4, 1e-2] and frame["best"].sum() == 1
    chosen = frame[frame["best"]].iloc[0]
    assert chosen["validation_loss"] == frame["validation_loss"].min()
    assert grid.best.record.training.learning_rate == chosen["learning_rate"]
    assert grid.best.folder == tmp_path / "grid" / chosen["folder"] and "0.0001" in repr(grid)


def test_a_configuration_of_peft(base, mix, tmp_path):  # noqa: F811 (the fixtures)
    (tmp_path / "dora.yaml").write_text("peft_type: LORA\nr: 2\nuse_dora: true\n")
    short = {key: value for key, value in SHORT.items() if key not in ("method", "rank")}
    run = cme.train(tmp_path / "run", data=mix, base=str(base), peft_config=tmp_path / "dora.yaml", **short)
    assert run.record.method == "dora"
    with pytest.raises(UsageError, match="peft_config and method 'lora' cannot be combined"):
        cme.train(tmp_path / "x", data=mix, peft_config=tmp_path / "dora.yaml", **SHORT)


def test_a_regular_expression_or_names_of_layers():
    shape = "chinese-llama-2-7b"
    one = cme.count_parameters(base=shape, method="lora", rank=4, target_modules=["up_proj", "down_proj"])
    two = cme.count_parameters(base=shape, method="lora", rank=4, target_modules=r".*\.(up|down)_proj")
    assert one.trainable == two.trainable == one.to_frame()["trainable"].sum()


def test_functions_with_an_adapters_settings_have_the_same_arguments():
    """`train` has them all; the others share its names, types and defaults."""
    train = inspect.signature(cme.train).parameters
    own = {"out", "data", "recipe", "lr_grid", "tune", "match_params", "base"}
    shared = {}
    for function in (cme.train_grid, cme.count_parameters, cme.match_rank):
        parameters = inspect.signature(function).parameters
        shared[function] = {name: item for name, item in parameters.items() if name not in own}
        assert shared[function] == {name: train[name] for name in shared[function]}
    assert set(train) - {*own, "lr", "lr_from"} == set(shared[cme.train_grid])
    assert list(shared[cme.count_parameters]) == list(shared[cme.match_rank])
    adapter = {item.name for item in fields(AdapterSettings)}
    assert adapter <= set(shared[cme.count_parameters])


@pytest.mark.parametrize("method", ["teamlora", "full", "adalora"])
def test_the_grid_of_another_method_is_refused(tmp_path, method):
    grid = write_grid(tmp_path / "grid")
    says = rf"grid is a grid of the method lora, but the method here is {method}\. .* give it as lr=0\.0002"
    with pytest.raises(UsageError, match=says):
        cme.train(tmp_path / "run", data=tmp_path / "mix", method=method, lr_from=grid)
    assert not (tmp_path / "run").exists()


def test_methods_of_peft_are_compared_by_their_names(tmp_path):
    def method(**fields):
        values = {"recipe": None, "data": "mix", "method": "peft", "peft_config": None, "options": fields}
        return settings_of(values | {"lr_from": grid})[0].learning_rate

    grid = write_grid(tmp_path / "grid", method="dora", runs=(run_of(5e-4),), best="lr-5e-04", learning_rate=5e-4)
    assert method(peft_type="LORA", use_dora=True) == 5e-4
    with pytest.raises(UsageError, match="is a grid of the method dora, but the method here is lora"):
        method(peft_type="LORA")


def test_an_alpha_beside_a_rank_that_a_grid_chooses_is_refused(tmp_path):
    """alpha / rank stays that of the recipe, so the given alpha would be scaled."""
    grid, folder = write_grid(tmp_path / "grid"), tmp_path / "run"
    with pytest.raises(
        UsageError, match=r"^alpha is 32, but the grid chose the rank, and alpha / rank stays that of the"
    ):
        cme.train(folder, data=tmp_path / "mix", method="lora", lr_from=grid, alpha=32)
    with pytest.raises(UsageError, match=r"alpha is 16, but the grid varies the rank, .* or vary alpha too"):
        cme.train_grid(folder, [1e-4, 1e-3], data=tmp_path / "mix", method="lora", tune={"rank": [8, 16]}, alpha=16)
    assert not folder.exists()
    common = {"recipe": None, "data": "mix", "method": "lora", "peft_config": None}
    chosen = settings_of(common | {"lr_from": grid})[1]
    assert (chosen.rank, chosen.lora_alpha) == (32, 64)
    assert settings_of(common | {"alpha": 16.0, "tune": {"dropout": [0.0, 0.1]}})[1].lora_alpha == 16
    assert settings_of(common | {"alpha": 16.0, "tune": {"rank": [8], "alpha": [16]}})[1].lora_alpha == 16
    both = write_grid(tmp_path / "both", runs=(run_of(2e-4, rank=32, alpha=32),), best="rank-32-alpha-32-lr-2e-04")
    chosen = settings_of(common | {"lr_from": both})[1]
    assert (chosen.rank, chosen.lora_alpha) == (32, 32)


def run_of(rate, **chosen):
    folder = folder_of(rate, chosen)
    return GridRun(
        learning_rate=rate, folder=folder, validation_loss=1.0, last_loss=1.0, problem=None, settings=chosen or None
    )
