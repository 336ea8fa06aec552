"""Every committed board: its numbers follow from its samples, and its files are small enough for a repository."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

import cme
from cme.leaderboard import audit, load_entries
from cme.leaderboard.ranking.comparison import make_standing
from cme.leaderboard.rendering.write import board_files

LEADERBOARDS = Path(cme.__file__).parents[1] / "leaderboards"
BOARDS = sorted(path.parent for path in LEADERBOARDS.rglob("entries") if any(path.glob("*.json")))

pytestmark = pytest.mark.skipif(not LEADERBOARDS.is_dir(), reason="not in a checkout")


def test_the_demo_board_is_among_them():
    assert LEADERBOARDS / "demo" in BOARDS


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_every_number_follows_from_the_samples(board):
    assert [verdict.message for verdict in audit(board / "entries") if not verdict.ok] == []


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_tables_and_page_are_what_the_entries_give(board):
    standing = make_standing(load_entries(board / "entries"), board / "entries")
    for name, text in board_files(board / "entries", standing).items():
        assert (board / name).read_bytes() == text.encode(), f"{board / name} is out of date: cme board tables"
    assert standing.repeated or board.name != "sample"
    for name, original in standing.repeated.items():
        for scores in (standing.averages, standing.soft.averages, *standing.families.values()):
            assert replace(scores[name], row=original) == scores[original], "the same trainings have the same intervals"


def test_copied_tables_are_those_of_the_boards():
    root = LEADERBOARDS.parent
    copies = [
        (page, *copy)
        for page in (root / "README.md", *(root / "docs").glob("*.md"))
        for copy in re.findall(
            r"<!-- (leaderboards/\S+\.md) -->\n(.+?)<!-- end -->", page.read_text("utf-8"), re.DOTALL
        )
    ]
    assert {file for _, file, _ in copies} >= {"leaderboards/demo/leaderboard.md", "leaderboards/sample/leaderboard.md"}
    for page, file, table in copies:
        assert table in (root / file).read_text("utf-8"), f"{page} has an old table of {file}"


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_the_page_has_at_most_4_mb_and_the_folder_20_mb(board):
    assert (board / "index.html").stat().st_size <= 4_000_000
    assert sum(path.stat().st_size for path in board.rglob("*") if path.is_file()) <= 20_000_000
