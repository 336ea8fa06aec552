"""Programs of an attacker: each is a failed sample, and none harms the machine."""

import os
import socket
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cme.sandbox import LIMITS, Outcome, Program, process, run_programs
from tests.sandbox.attacks import ATTACKS, FAKES, HANGS, TESTS
from tests.sandbox.isolations import sandbox

ALL = ATTACKS | FAKES


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, Outcome], socket.socket, Path]]:
    """The outcomes of all attacks that end, the server that one of them wants to reach, and the file that others want to read."""
    isolation = sandbox()
    secret = tmp_path_factory.mktemp("results") / "result.json"
    secret.write_text("{}")
    os.environ["CME_TEST_SECRET"] = "secret"
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        given = {
            "{port}": str(server.getsockname()[1]),
            "{home!r}": repr(str(Path.home())),
            "{secret!r}": repr(str(secret)),
        }
        programs = []
        for source, _ in ALL.values():
            for mark, value in given.items():
                source = source.replace(mark, value)
            programs.append(Program(source, TESTS, ("f",)))
        before = set(Path(tempfile.gettempdir()).iterdir())
        outcomes = dict(zip(ALL, run_programs(programs, isolation), strict=True))
        assert {path for path in set(Path(tempfile.gettempdir()).iterdir()) - before if "cme" in path.name} == set()
        yield outcomes, server, secret
    del os.environ["CME_TEST_SECRET"]


@pytest.mark.parametrize("name", ALL)
def test_an_attack_is_a_failed_sample(attacked, name):
    outcome = attacked[0][name]
    assert outcome.status in ALL[name][1], outcome
    assert outcome.detail.isprintable()


def test_no_attack_changed_anything(attacked):
    _, server, secret = attacked
    with pytest.raises(BlockingIOError):
        server.accept()
    assert not (Path.home() / "cme-attack").exists()
    assert secret.read_text() == "{}"


def test_no_process_of_an_attack_survives(attacked):
    assert running() == []


def running() -> list[str]:
    """The command lines of the processes of programs that do not end. The kernel needs a moment to end a killed one."""
    end = time.monotonic() + 30
    while (lines := alive()) and time.monotonic() < end:
        time.sleep(0.02)
    return lines


def alive() -> list[str]:
    """The command lines of the processes of programs that were started by this process or have lost their parent."""
    lines = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if parent in (1, os.getpid()) and "cme.sandbox.inside" in line:
            lines.append(line)
    return lines


@pytest.mark.parametrize("name", HANGS)
def test_a_program_that_does_not_end_is_killed(monkeypatch, name):
    isolation = sandbox()
    monkeypatch.setattr(process, "LIMITS", replace(LIMITS, seconds=1))
    source, expected = HANGS[name]
    (outcome,) = run_programs([Program(source, TESTS, ("f",))], isolation)
    assert outcome.status in expected, outcome
    assert running() == []
