"""No process of a program outlives it, or CME."""

import os
import signal
import subprocess
import sys
import time

import pytest

from cme.sandbox import Isolation, Program, open_isolation, process, run_programs
from cme.sandbox.inside.family import descendants, threads_of_user
from cme.sandbox.programs import LIMITS
from cme.sandbox.watch import _files, most_threads
from tests.sandbox.isolations import sandbox
from tests.sandbox.survivors import adopt_orphans, survivors

RIGHT = "def f(x):\n    return x + 1\n"
TESTS = "assert f(1) == 2\n"
DAEMON = (
    "import os, subprocess\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
    "        os.execvp('sleep', ['sleep', '600'])\n    os._exit(0)\nos.wait()\n"
)
OWN_SESSION = "import subprocess\nsubprocess.Popen(['sleep', '600'], start_new_session=True, env={})\n"


@pytest.fixture
def before():
    adopt_orphans(True)
    yield descendants(os.getpid())
    adopt_orphans(False)


def test_a_survivor_is_seen_whatever_its_command_line_is(before):
    code = "import subprocess; subprocess.Popen(['sleep', '600'], start_new_session=True)"
    subprocess.run([sys.executable, "-c", code], check=True)
    (left,) = descendants(os.getpid()) - before
    os.kill(left, signal.SIGKILL)
    os.waitpid(left, 0)


@pytest.mark.parametrize(
    ("source", "status"),
    [
        (OWN_SESSION + RIGHT, "passed"),
        (DAEMON + RIGHT, "passed"),
        (f"{DAEMON}os._exit(0)\n", "exited"),
        (f"{DAEMON}os.kill(os.getpid(), 9)\n", "crashed"),
        (f"{DAEMON}while True:\n    pass\n", "timeout"),
    ],
)
def test_without_a_sandbox_nothing_outlives_a_program(before, monkeypatch, source, status):
    monkeypatch.setattr(process, "LIMITS", process.LIMITS.__class__(seconds=1))
    (outcome,) = run_programs([Program(source, TESTS, ("f",))], Isolation(None))
    assert outcome.status == status, outcome
    assert survivors(before) == set()


def test_without_a_sandbox_a_program_that_sleeps_is_ended(before, monkeypatch):
    monkeypatch.setattr(process, "LIMITS", process.LIMITS.__class__(seconds=1))
    sleeping = Program("import time\ntime.sleep(600)\n", TESTS, ("f",))
    (outcome,) = run_programs([sleeping], open_isolation("unsandboxed"))
    assert outcome.status == "timeout" and outcome.seconds >= 1
    assert survivors(before) == set()


def test_without_a_sandbox_too_many_processes_are_ended(before):
    source = (
        f"import subprocess, time\nfor _ in range(99):\n    subprocess.Popen(['sleep', '600'])\ntime.sleep(3)\n{RIGHT}"
    )
    (outcome,) = run_programs([Program(source, TESTS, ("f",))], Isolation(None))
    assert outcome.status == "blocked" and "more than 64 threads and processes" in outcome.detail
    assert survivors(before) == set()


def test_without_a_sandbox_threads_of_other_programs_do_not_count():
    """The kernel counts all threads of the user."""
    assert threads_of_user(os.getuid()) > 0
    assert most_threads(sandboxed=False) >= threads_of_user(os.getuid()) + LIMITS.processes
    assert most_threads(sandboxed=True) == LIMITS.processes
    source = (
        "import threading, time\nthreads = [threading.Thread(target=time.sleep, args=(.1,)) for _ in range(8)]\n"
        f"for thread in threads:\n    thread.start()\n{RIGHT}"
    )
    outcomes = run_programs([Program(source, TESTS, ("f",))] * 2, Isolation(None))
    assert [outcome.status for outcome in outcomes] == ["passed"] * 2


@pytest.mark.parametrize("mode", ["sandboxed", "unsandboxed"])
def test_everything_ends_when_cme_is_killed(before, mode):
    bwrap = sandbox().bwrap if mode == "sandboxed" else None
    source = f"{DAEMON if bwrap is None else ''}import time\nopen('x', 'w').close()\ntime.sleep(600)\n"
    code = (
        "from cme.sandbox import Isolation, Program, process, run_programs\n"
        "process.LIMITS = process.LIMITS.__class__(seconds=600)\n"
        f"run_programs([Program({source!r}, {TESTS!r}, ('f',))], Isolation({bwrap!r}))\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL) as evaluation:
        end, started = time.monotonic() + 120, set[int]()
        # The program runs if the file is in the folder of the sandbox, or the daemon is there as well as two pairs of processes.
        while not (len(started) > 4 if bwrap is None else any(_files(pid) > 1 for pid in started)):
            started = descendants(evaluation.pid)
            assert evaluation.poll() is None and time.monotonic() < end
            time.sleep(0.05)
        evaluation.kill()
    assert started
    assert survivors(before) == set()
