"""A board of six rows and its page."""

import pytest

from cme.leaderboard import load_paper
from cme.leaderboard.rendering.page import render_page
from tests.leaderboard.rendering.page.boards import mini_rows, six_rows
from tests.leaderboard.rendering.page.chromium import Page, start


@pytest.fixture(scope="session")
def board(tmp_path_factory):
    """Where the rows stand, and the folder of entries."""
    return six_rows(tmp_path_factory.mktemp("six"))


@pytest.fixture(scope="session")
def page(board):
    return render_page(*board, load_paper())


@pytest.fixture(scope="session")
def mini_board(tmp_path_factory):
    return mini_rows(tmp_path_factory.mktemp("mini"))


@pytest.fixture(scope="session")
def mini_page(mini_board):
    return render_page(*mini_board, load_paper())


@pytest.fixture(scope="module")
def browser():
    driver = start()
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def six(board, page, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_text(page, encoding="utf-8")
    return path


@pytest.fixture
def shown(browser, six):
    shown = Page(browser, six)
    yield shown
    assert shown.console() == []
    assert shown.requests() <= {six.as_uri(), "data:,"}
    assert not shown.run(
        "return performance.getEntriesByType('resource').filter((e) => !e.name.startsWith('data:')).length"
    )
