"""Fixtures that all rooms' tests share."""

import gc
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hub_rows import HAND_ROWS, write_mirror
from tests.tiny import save_tiny_base


@pytest.fixture(scope="module", autouse=True)
def _frozen() -> None:
    """Leave the imported libraries out of garbage collections.

    `cme` and accelerate collect garbage whenever they load or drop a model. Each collection takes half a second in a process with
    torch, transformers and PEFT, because it visits all of their objects.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with real rows: a mirror of samples of every dataset."""
    folder = os.environ.get("CME_DATA_DIR")
    if not folder:
        pytest.skip("CME_DATA_DIR is not set: point it at the folder with real rows")
    return Path(folder)


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny random base model, see `tests.tiny`."""
    folder = tmp_path_factory.mktemp("tiny_base")
    save_tiny_base(folder)
    return folder


@pytest.fixture(scope="session")
def hand_mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mirror with a few hand-written rows in every split of every dataset."""
    return write_mirror(tmp_path_factory.mktemp("hand") / "mirror", HAND_ROWS)


@pytest.fixture
def make_mirror(tmp_path: Path) -> Callable[..., Path]:
    """``make_mirror({"qqp/train": rows, …})`` writes a mirror folder of such files and returns it."""

    def make(files, name="mirror"):
        return write_mirror(tmp_path / name, files)

    return make
