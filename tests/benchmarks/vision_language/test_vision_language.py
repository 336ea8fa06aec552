"""The benchmark of text on a vision-language base: equal answers and counts. The tests do not assert speeds."""

import json

import pytest
from typer.testing import CliRunner

from benchmarks.vision_language.__main__ import app


@pytest.mark.long
def test_a_llava_computes_the_same_tokens_and_answers_as_its_language_model(tiny_base):
    words = ["--base", str(tiny_base), "--datasets", "qqp,nq_open", "--rows", "6", "--rounds", "2"]
    words += ["--threads", "1", "--device", "cpu"]
    report = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert [cost["dataset"] for cost in report] == ["qqp", "nq_open"]
    for cost in report:
        assert cost["alone"] == cost["whole"] and cost["rows"] == 6
        assert not cost["agreement"]["gap"] and not cost["agreement"]["decisions"] and not cost["agreement"]["texts"]
        assert len(cost["seconds"]) == 2 and cost["time_ratio"] > 0
    shown = CliRunner().invoke(app, words)
    assert shown.exit_code == 0 and "times the time of the language model alone" in shown.stderr
