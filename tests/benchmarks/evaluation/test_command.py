"""``python -m benchmarks.evaluation``: outputs and refused input."""

import json

import pytest
from typer.testing import CliRunner

import benchmarks.evaluation
from benchmarks.evaluation import EvalBenchSettings
from benchmarks.evaluation.__main__ import app
from cme.errors import UsageError


def run(*arguments):
    return CliRunner().invoke(app, [*map(str, arguments)])


@pytest.fixture
def measured(monkeypatch, report):
    """The settings and the command of each measurement. Every measurement returns the shared report."""
    made = []

    def measure(settings, *, command):
        made.append((settings, command))
        return report

    monkeypatch.setattr(benchmarks.evaluation, "measure_evaluation", measure)
    return made


@pytest.mark.long
def test_files_and_tables(measured, report, tmp_path):
    out = tmp_path / "costs"
    done = run("--source", "mini", "--rows", 4, "--datasets", "rte,qqp", "--batch-sizes", "1,4", "--out", out)
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in out.iterdir()) == ["costs.png", "costs.svg", "report.json", "table.md"]
    assert json.loads((out / "report.json").read_text()) == json.loads(json.dumps(report.to_dict()))
    for text in ("nq_open", "choices", "texts", "tokens cme", "Peak memory", "Growth"):
        assert text in done.output
    (settings, command), *_ = measured
    assert settings == EvalBenchSettings(source="mini", rows=4, datasets=("rte", "qqp"), batch_sizes=(1, 4))
    assert command[:3] == ("python", "-m", "benchmarks.evaluation")


@pytest.mark.long
def test_json(measured, report):
    done = run("--adapter", "a/b", "--rounds", 3, "--dtype", "bfloat16", "--threads", 2, "--json")
    assert json.loads(done.stdout) == json.loads(json.dumps(report.to_dict()))
    assert measured[0][0] == EvalBenchSettings(adapter="a/b", rounds=3, dtype="bfloat16", threads=2)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rows": 0}, "rows must be at least 1, found 0"),
        ({"rounds": 0}, "rounds must be at least 1"),
        ({"dtype": "float31"}, "Did you mean 'float32'"),
        ({"datasets": ("qpq",)}, "Did you mean 'qqp'"),
        ({"batch_sizes": (4, 4)}, "distinct numbers above 0, found 4, 4"),
        ({"batch_sizes": (0,)}, "found 0"),
    ],
)
def test_mistakes(fields, message):
    with pytest.raises(UsageError, match=message):
        EvalBenchSettings(**fields)


@pytest.mark.parametrize(("device", "sizes"), [("cpu", (1, 4, 8, 16)), ("cuda", (8, 16, 32, 64))])
def test_lm_eval_tries_several_batch_sizes(device, sizes):
    assert EvalBenchSettings().candidates(device) == sizes
    assert EvalBenchSettings(batch_sizes=(2,)).candidates(device) == (2,)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--batch-sizes", "1,x"], 2, "--batch-sizes is"),
        (["--base", "no-such-base", "--source", "mini"], 2, "unknown base model 'no-such-base'"),
        (["--source", "nowhere/at/all"], None, "nowhere/at/all"),
        (
            ["--source", "mini", "--base", "chinese-llama-2-7b"],
            2,
            "has random weights and no tokenizer. Give --tokenizer",
        ),
    ],
)
def test_mistakes_on_the_command_line(arguments, code, message):
    done = run(*arguments)
    assert message in done.output and done.exit_code == (code or done.exit_code) > 0


def test_a_wrong_device(tiny_base):
    done = run("--base", tiny_base, "--source", "mini", "--datasets", "qqp", "--device", "mps")
    assert done.exit_code == 2 and "device 'mps' cannot be used" in done.output
