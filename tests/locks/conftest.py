"""Fixtures of the tests of locks."""

import subprocess
import sys

import pytest

from cme import locks
from tests.locks.holders import HOLD


@pytest.fixture
def other(tmp_path):
    """Another process that works in ``tmp_path / "out"``."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "holds\n"
        yield process
        process.kill()


@pytest.fixture
def no_flock(monkeypatch):
    monkeypatch.setattr(locks, "fcntl", None)
