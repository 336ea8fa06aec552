"""A training run and a grid as Python users handle them."""

import inspect
import os
from dataclasses import fields

import pytest

import cme
from cme.adapters.settings import AdapterSettings
from cme.errors import UsageError
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


def test_a_method_without_the_setting_that_a_grid_chose_is_refused(tmp_path):
    grid = write_grid(tmp_path / "grid")
    with pytest.raises(UsageError, match=r"the choice of the grid \(lr_from\): full has no setting 'rank'"):
        cme.train(tmp_path / "run", data=tmp_path / "mix", method="full", lr_from=grid)
    assert not (tmp_path / "run").exists()
