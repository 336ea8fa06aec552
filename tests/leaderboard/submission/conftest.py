"""A board with a row of which every seed was analysed."""

import shutil

import pytest

from tests.leaderboard.analyses import analysed_row
from tests.leaderboard.submission.analysed import NAMES
from tests.leaderboard.workshop import Workshop


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A base and a TeamLoRA of two seeds with an analysis of each."""
    workshop = Workshop(tmp_path_factory.mktemp("analysed"))
    workshop.reference("base", 0.4, names=NAMES)
    analysed_row(workshop, "team", "teamlora", 0.7, seeds=(0, 1), names=NAMES)
    return workshop.root


@pytest.fixture
def analysed(built, workshop):
    """A copy of the board, which a test may change."""
    shutil.copytree(built, workshop.root, dirs_exist_ok=True)
    return workshop
