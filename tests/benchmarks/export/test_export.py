"""The memory of the export ``fit``: computed for whole models, measured for a small layer."""

import json
from pathlib import Path

import pytest

from benchmarks.export.run import measure_shape
from benchmarks.export.shapes import MODELS, plan_of
from cme.export.fit import LIMIT


def test_a_7b_model_is_fitted_within_the_limit_of_the_sums():
    plan = plan_of(*MODELS["Llama-2-7B"], columns=32)
    assert plan.largest == 8 * (11008**2 + 11008 * 32 + 32**2)
    assert plan.total > 8 * LIMIT and plan.passes >= plan.total / LIMIT
    assert plan.peak <= LIMIT + 2 * plan.largest
    assert plan_of(*MODELS["SmolLM2-135M"], columns=32).passes == 1


@pytest.mark.long
def test_a_layer_needs_its_sums_and_a_few_copies_of_them():
    measured = measure_shape(1024, 128, 4, 4, 3000)
    assert measured.state == 8 * (1024**2 + 1024 * 16 + 16**2)
    if Path("/proc/self/clear_refs").exists():
        assert measured.state < measured.peak < 6 * measured.state + 2**27
    assert measured.loss < 1


@pytest.mark.long
def test_the_command_prints_both_tables():
    from typer.testing import CliRunner

    from benchmarks.export.__main__ import app

    done = CliRunner().invoke(app, ["--inputs", "64", "--tokens", "300", "--json"])
    assert done.exit_code == 0, done.stderr
    values = json.loads(done.stdout)
    assert set(values["computed"]) == set(MODELS) and values["measured"][0]["inputs"] == 64
