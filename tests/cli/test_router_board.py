"""From a training over a measured export to a board that says what the router is worth: all of it really run, on a tiny base."""

import json

import pytest

import cme as package
from tests.training.conftest import base, mix  # noqa: F401 (fixtures)

pytestmark = pytest.mark.long


def test_a_measured_export_is_submitted_verified_and_shown(cme, base, mix, tmp_path):  # noqa: F811
    scored = ("--source", "mini", "--datasets", "qqp,rte", "--tier", "quick", "--threads", 1)
    trained = ("--base", base, "--data", mix, "--steps", 4, "--batch-size", 2, "--max-length", 256, "--lr", 5e-3)
    run, result, export = tmp_path / "run", tmp_path / "result", tmp_path / "export"
    entries = tmp_path / "board" / "entries"
    for words in (
        ("train", "--method", "teamlora", "--experts", 2, "--rank", 2, *trained, "--threads", 1, "--out", run),
        ("eval", "--base", base, *scored, "--adapter", run, "--out", result, "--name", "team"),
        ("export-lora", run, "--how", "mean,fit", "--data", mix, "--measure", *scored, "--out", export),
        ("submit", result, "--run", run, "--export", export, "--entries", entries, "--no-card"),
    ):
        done = cme(*words)
        assert done.exit_code == 0, done.output
    verified = cme("leaderboard", "verify", entries)
    assert verified.exit_code == 0 and "1 router against plain LoRA" in verified.stdout
    stated = json.loads((entries / "team.json").read_text())["runs"][0]["router_worth"]
    measured = json.loads((export / "export.json").read_text())["measured"]
    assert stated["worth"]["average"] == pytest.approx(measured["worth"]["average"])
    assert stated["best"] == measured["best"]
    assert stated["worth"]["soft"]["value"] == pytest.approx(measured["worth"]["soft"]["value"], abs=1e-4)
    frame = package.load_board(entries).routers()
    assert frame["router_worth"][0] == pytest.approx(measured["worth"]["average"]["value"], abs=1e-6)
