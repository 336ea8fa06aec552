"""Programs of an attacker: each is a failed sample, and none harms the machine."""

import os
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cme.sandbox import LIMITS, Outcome, Program, process, run_programs
from cme.sandbox.inside.family import descendants
from tests.sandbox.attacks import ATTACKS, FAKES, HANGS, TESTS
from tests.sandbox.isolations import sandbox
from tests.sandbox.survivors import adopt_orphans, survivors

ALL = ATTACKS | FAKES
Attacked = tuple[dict[str, Outcome], socket.socket, Path, set[int]]


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    """The outcomes of all attacks that end, the server and the file that some want to reach, and the processes before them."""
    isolation = sandbox()
    adopt_orphans(True)
    processes = descendants(os.getpid())
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
        # Other tests that run at the same time have files in the shared folder.
        temporary = tmp_path_factory.mktemp("temporary")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tempfile, "tempdir", str(temporary))
            outcomes = dict(zip(ALL, run_programs(programs, isolation), strict=True))
        assert list(temporary.iterdir()) == []
        yield outcomes, server, secret, processes
    adopt_orphans(False)
    del os.environ["CME_TEST_SECRET"]


@pytest.mark.parametrize("name", ALL)
def test_an_attack_is_a_failed_sample(attacked, name):
    outcome = attacked[0][name]
    assert outcome.status in ALL[name][1], outcome
    assert outcome.detail.isprintable()


def test_no_attack_changed_anything(attacked):
    _, server, secret, _ = attacked
    with pytest.raises(BlockingIOError):
        server.accept()
    assert not (Path.home() / "cme-attack").exists()
    assert secret.read_text() == "{}"


def test_no_process_of_an_attack_survives(attacked):
    assert survivors(attacked[3]) == set()


@pytest.mark.parametrize("name", HANGS)
def test_a_program_that_does_not_end_is_killed(monkeypatch, name):
    isolation, before = sandbox(), descendants(os.getpid())
    monkeypatch.setattr(process, "LIMITS", replace(LIMITS, seconds=1))
    source, expected = HANGS[name]
    (outcome,) = run_programs([Program(source, TESTS, ("f",))], isolation)
    assert outcome.status in expected, outcome
    assert survivors(before) == set()
