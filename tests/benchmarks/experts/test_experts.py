"""The benchmark of the analysis of experts. The tests do not assert speeds."""

import json

import pytest
from typer.testing import CliRunner

from benchmarks.experts import ExpertCosts
from benchmarks.experts.__main__ import app


def test_ratios_are_those_of_the_definitions():
    costs = ExpertCosts(
        plain=(10.0, 20.0, 10.0), masked=(24.0, 44.0, 20.0), masks=2,
        by_mask={"all": (9.0, 20.0, 9.0), "base": (18.0, 22.0, 9.9)}, passes=(4.0, 4.0, 8.0), recorded=(4.2, 4.4, 8.0),
        tokens=100, plain_peak=1000, masked_peak=1100, recorded_peak=1200,
    )  # fmt: skip
    assert costs.masked_ratio == pytest.approx(1.1) and costs.recording_cost == pytest.approx(0.05)
    assert costs.mask_ratios == pytest.approx({"all": 1.0, "base": 1.1})
    assert (costs.masked_memory, costs.recorded_memory) == (1.1, 1.2)


@pytest.mark.long
def test_the_command(tiny_base):
    words = ["--base", str(tiny_base), "--tier", "smoke", "--datasets", "qqp", "--threads", "1", "--device", "cpu"]
    words += ["--experts", "2", "--rank", "2"]
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.stderr
    report = json.loads(done.stdout)
    # All, none and each of two experts alone (which is all but the other), and top 1 in two forms.
    assert report["masks"] == 6 and len(report["plain"]) == len(report["masked"]) == len(report["recorded"]) == 1
    assert min(report["plain"] + report["masked"] + report["passes"] + report["recorded"]) > 0
    assert set(report["by_mask"]) == {"base", "all", "keep-0", "keep-1", "top1", "top1-renormalised"}
    assert report["recorded_peak"] >= report["masked_peak"] >= report["plain_peak"] > 0 and report["tokens"] > 100
    shown = CliRunner().invoke(app, [*words, "--rounds", "2"])
    assert shown.exit_code == 0 and "the slowest of them" in shown.output.replace("\n", " ")
    refused = CliRunner().invoke(app, [*words, "--method", "lora"])
    assert refused.exit_code == 2 and "has no experts" in refused.stderr
