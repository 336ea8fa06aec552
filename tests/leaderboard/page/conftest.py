"""A board of six rows and its page."""

import pytest

from cme.leaderboard import load_paper
from cme.leaderboard.page import render_page

from .boards import six_rows


@pytest.fixture(scope="session")
def board(tmp_path_factory):
    """Where the rows stand, and the folder of entries."""
    return six_rows(tmp_path_factory.mktemp("six"))


@pytest.fixture(scope="session")
def page(board):
    return render_page(*board, load_paper())
