"""Every committed board: its numbers follow from its samples, and its files are small enough for a repository."""

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
        assert (board / name).read_text(encoding="utf-8") == text, f"{board / name} is out of date: cme board tables"


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_the_page_has_at_most_4_mb_and_the_folder_20_mb(board):
    assert (board / "index.html").stat().st_size <= 4_000_000
    assert sum(path.stat().st_size for path in board.rglob("*") if path.is_file()) <= 20_000_000
