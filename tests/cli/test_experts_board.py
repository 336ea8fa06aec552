"""From a training over an analysis to a board with a section about experts: all of it really run, on a tiny base."""

import json

import pytest

import cme as package
from tests.leaderboard.analyses import analysed_row
from tests.leaderboard.pages import tables
from tests.leaderboard.rendering.page.test_page import values
from tests.leaderboard.workshop import Workshop
from tests.training.conftest import base, mix  # noqa: F401 (fixtures)

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore:tier smoke")]


def test_an_analysis_is_submitted_verified_and_shown(cme, base, mix, tmp_path):  # noqa: F811
    common = ("--base", base, "--source", "mini", "--datasets", "qqp,mmlu", "--tier", "smoke", "--threads", 1)
    trained = ("--base", base, "--data", mix, "--steps", 4, "--batch-size", 2, "--max-length", 256, "--lr", 5e-3)
    run, result, analysis = tmp_path / "run", tmp_path / "result", tmp_path / "analysis"
    entries = tmp_path / "board" / "entries"
    few = ("--subject-rows", 2, "--permutations", 19)
    for words in (
        ("train", "--method", "teamlora", "--experts", 2, "--rank", 2, *trained, "--threads", 1, "--out", run),
        ("eval", *common, "--adapter", run, "--out", result, "--name", "team"),
        ("eval", *common, "--out", tmp_path / "base", "--name", "base"),
        ("analyse", run, *common, *few, "--out", analysis),
        ("submit", tmp_path / "base", "--entries", entries),
        ("submit", result, "--run", run, "--analysis", analysis, "--entries", entries, "--no-card"),
        ("leaderboard", "--entries", entries, "--out", tmp_path / "board"),
    ):
        done = cme(*words)
        assert done.exit_code == 0, done.output
    verified = cme("leaderboard", "verify", entries)
    assert verified.exit_code == 0 and "1 analysis of experts" in verified.stdout
    entry = json.loads((entries / "team.json").read_text())["runs"][0]["experts"]
    record = json.loads((analysis / "analysis.json").read_text())
    assert entry["shapley"]["average"] == record["shapley"]["average"] and entry["changed"] == 0
    assert entry["redundancy"][1]["score"]["average"] == record["redundancy"][1]["score"]["average"]
    board = package.load_board(entries)
    frame = board.experts()
    assert frame["name"].tolist() == ["team"] and frame["experts"].tolist() == [2]
    assert frame["effective_experts"][0] == pytest.approx(record["load"]["prompt"][0]["effective"], abs=1e-6)
    page = (tmp_path / "board" / "leaderboard.md").read_text()
    assert next(block for block in tables(page) if "effective experts" in block[0])[1][2] == "2 × 2"
    adapters = values((tmp_path / "board" / "index.html").read_text())["experts"]["adapters"]
    assert len(adapters[0]["load"]["subjects"]) == 57 and len(adapters[0]["shapley"]["values"]) == 2
    text = (entries / "team.json").read_text()
    number = entry["shapley"]["average"]["values"][0]["value"]
    assert str(number) in text
    changed = json.loads(text)
    changed["runs"][0]["experts"]["shapley"]["average"]["values"][0]["value"] = number + 0.01
    (entries / "team.json").write_text(json.dumps(changed))
    refused = cme("leaderboard", "verify", entries)
    assert refused.exit_code == 1 and "experts.shapley.average.values.0.value is" in refused.output


def test_python_and_the_command_line_submit_the_same(cme, tmp_path):
    workshop = Workshop(tmp_path / "made")
    names = ("qqp", "nq_open")
    entry = analysed_row(workshop, "team", "teamlora", 0.7, names=names)
    folders = [workshop.root / kind / "team-0" for kind in ("results", "runs", "analyses")]
    again = package.submit(
        folders[0], run=folders[1], analysis=folders[2], entries=tmp_path / "a" / "entries", name="team", card=False
    )
    assert again.entry == entry
    words = ("--run", folders[1], "--analysis", folders[2], "--entries", tmp_path / "b" / "entries", "--name", "team")
    assert cme("submit", folders[0], *words, "--no-card").exit_code == 0
    files = [sorted((tmp_path / side).rglob("*.*")) for side in "ab"]
    assert [file.read_bytes() for file in files[0]] == [file.read_bytes() for file in files[1]]
    refused = cme("submit", folders[0], "--run", folders[1], "--analysis", tmp_path, "--entries", workshop.entries)
    assert refused.exit_code == 1
    assert "Give a folder that 'cme analyse' wrote" in refused.stderr and "Traceback" not in refused.stderr
