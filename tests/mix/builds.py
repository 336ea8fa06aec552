"""Builds in a process of their own that can be watched, killed and followed by another.

``python -m tests.mix.builds …`` is ``cme build-data …`` with small pieces and small shards, and with further processes for
however few rows; `small_sizes` sets the same in this process.
"""

import hashlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PIECE_ROWS, SHARD_ROWS, ROWS = 300, 500, 3000
NAMES = ("arc", "cnn_dailymail", "nq_open", "qqp")
PIECES, SHARDS, EVALUATION_SETS = 29, 6, 23
"""What a build of those settings has; a test counts them."""

_SIZES = {"cme.data.chunks.PIECE_ROWS": PIECE_ROWS, "cme.mix.workers.FEW_ROWS": 0}
_TOKEN = "CME_TEST_BUILD"


def small_sizes(patch: pytest.MonkeyPatch) -> None:
    """Small pieces, and processes for however few rows."""
    for name, value in _SIZES.items():
        patch.setattr(name, value)


def settings(out: Path, workers: int = 1) -> Any:
    """What `start` builds."""
    from cme.mix import BuildSettings

    given = {"source": "mini", "size": ROWS, "datasets": NAMES, "rows_per_shard": SHARD_ROWS}
    return BuildSettings(out=out, workers=workers, **given)


def tree(folder: Path) -> dict[str, str]:
    """Every file below a folder → hash of its bytes."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@dataclass
class Running:
    """A build that goes on.

    Attributes:
        process: the ``cme`` process, first of a group of its own.
        out: its output folder.
        token: stands in the environment of every process that belongs to it.
    """

    process: subprocess.Popen[str]
    out: Path
    token: str

    def wait_for(self, pattern: str, count: int, seconds: float = 60) -> None:
        """Wait until so many files below the output folder fit the pattern."""
        end = time.monotonic() + seconds
        while sum(1 for file in self.out.glob(pattern) if not file.name.startswith(".")) < count:
            assert self.process.poll() is None and time.monotonic() < end, self.process.communicate()
            time.sleep(0.001)

    def kill(self) -> None:
        """``kill -9``, of the first process only."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.communicate()
        assert self.process.returncode == -signal.SIGKILL

    def ended(self, seconds: float = 60) -> tuple[int, str]:
        """Exit code and standard error, after the end."""
        error = self.process.communicate(timeout=seconds)[1]
        return self.process.returncode, error

    def relatives(self, word: str = "") -> list[int]:
        """Living processes that belong to it and have the word in their command line."""
        mark = f"{_TOKEN}={self.token}".encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (folder / "environ").read_bytes() and word.encode() in (folder / "cmdline").read_bytes():
                    found.append(int(folder.name))
            except OSError:  # it ended meanwhile
                continue
        return found


def start(out: Path, workers: int = 1, before: Callable[[], None] | None = None, more: Sequence[str] = ()) -> Running:
    """Begin a build of the mini corpus.

    Args:
        out: the mix.
        workers: processes.
        before: called in the new process before the program starts.
        more: further arguments.
    """
    token = uuid.uuid4().hex
    options = {"source": "mini", "size": ROWS, "datasets": ",".join(NAMES), "workers": workers, "out": out}
    options |= {"rows-per-shard": SHARD_ROWS}
    words = [sys.executable, "-m", "tests.mix.builds", *more]
    process = subprocess.Popen(
        [*words, *(str(word) for name, value in options.items() for word in (f"--{name}", value))],
        env=os.environ | {_TOKEN: token, "OMP_NUM_THREADS": "1"},
        cwd=Path(__file__).parents[2],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=before,
    )
    return Running(process, out, token)


def _main() -> None:
    from cme.cli.main import app

    small_sizes(pytest.MonkeyPatch())
    app(["build-data", *sys.argv[1:]])


if __name__ == "__main__":
    _main()
