import json

import pytest
from typer.testing import CliRunner

from benchmarks.evaluation import EvalBenchSettings
from benchmarks.solutions import measure_solutions
from benchmarks.solutions.__main__ import app
from cme.errors import UsageError


@pytest.mark.long
def test_both_sides_are_counted_and_have_the_same_numbers(tiny_base):
    settings = ["--base", str(tiny_base), "--source", "mini:graded", "--rows", "2", "--threads", "1", "--json"]
    made = CliRunner().invoke(app, settings)
    assert made.exit_code == 0, made.output
    (saving,) = json.loads(made.stdout)
    assert (saving["dataset"], saving["rows"], saving["same"]) == ("gsm8k", 2, 2)
    assert saving["without"] >= saving["stopped"] > 0
    assert saving["tokens_ratio"] == saving["without"] / saving["stopped"]


def test_other_datasets_have_nothing_to_measure(tiny_base):
    with pytest.raises(UsageError, match="aqua_rat has no worked solutions"):
        measure_solutions(EvalBenchSettings(base=str(tiny_base), datasets=("aqua_rat",)))
