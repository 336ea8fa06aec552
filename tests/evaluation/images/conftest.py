"""A small model that sees, and questions about images."""

import pytest

from cme.evaluation.images.rows import open_rows
from tests.cli.conftest import cme as command
from tests.vision import save_seeing_llava

__all__ = ["command"]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("seeing") / "llava"
    save_seeing_llava(folder)
    return folder


@pytest.fixture(scope="module")
def rows():
    return list(open_rows("mini", 12))
