"""The leaderboard's files on disk, and the command that writes, prints and checks them."""

import json

import pytest

from cme.leaderboard import is_stale, write_leaderboard

NAMES = ["leaderboard.md", "leaderboard.json", "leaderboard.csv", "index.html"]


@pytest.fixture
def cme():
    from typer.testing import CliRunner

    from cme.cli.main import app

    return lambda *arguments: CliRunner().invoke(app, ["leaderboard", *map(str, arguments)])


def test_files_are_checked_to_be_up_to_date(board, tmp_path):
    out = tmp_path / "out"
    assert is_stale(board.entries, out) == [f"{out / name} is missing" for name in NAMES]
    written = write_leaderboard(board.entries, out)
    assert [path.name for path in written] == NAMES and is_stale(board.entries, out) == []
    for path in written:
        text = path.read_text()
        path.write_text(text + " ")
        assert is_stale(board.entries, out) == [f"{path} is out of date"]
        path.write_text(text)
    board.row("another", "lora", 0.7, settings={"rank": 4})
    assert is_stale(board.entries, out) == [f"{out / name} is out of date" for name in NAMES]


def test_the_command_writes_prints_and_checks(board, tmp_path, cme):
    where = ("--entries", board.entries, "--out", tmp_path / "out")
    missing = cme(*where, "--check")
    assert missing.exit_code == 1 and "is missing" in missing.stderr and not (tmp_path / "out").exists()
    first = cme(*where)
    assert first.exit_code == 0 and first.stdout == (tmp_path / "out" / "leaderboard.md").read_text()
    assert cme(*where, "--check").exit_code == 0
    (tmp_path / "out" / "index.html").write_text("old")
    stale = cme(*where, "--check")
    assert stale.exit_code == 1 and "index.html is out of date" in stale.stderr and "leaderboard.md" not in stale.stderr


@pytest.mark.parametrize(
    ("form", "start"), [("csv", "name,kind,method"), ("latex", "% CME"), ("json", "{"), ("md", "# CME")]
)
def test_every_format_is_printed_alone(board, tmp_path, cme, form, start):
    found = cme("--entries", board.entries, "--out", tmp_path / "out", "--format", form)
    assert found.exit_code == 0 and found.stdout.startswith(start)
    if form == "json":
        assert [row["name"] for row in json.loads(found.stdout)["rows"]] == ["teamlora-r8", "lora-r8", "base"]


def test_an_unknown_format_names_the_known_ones(board, tmp_path, cme):
    found = cme("--entries", board.entries, "--out", tmp_path / "out", "--format", "html")
    assert found.exit_code == 2 and "Known: csv, json, latex, md" in found.stderr


def test_nothing_is_written_from_a_changed_entry(board, tmp_path, cme):
    path = board.entries / "base.json"
    values = json.loads(path.read_text())
    values["scores"]["average"] += 1
    path.write_text(json.dumps(values))
    found = cme("--entries", board.entries, "--out", tmp_path / "out", "--verify")
    assert (
        found.exit_code == 1 and "entry 'base': scores.average is" in found.stderr and not (tmp_path / "out").exists()
    )
