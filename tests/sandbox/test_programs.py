"""What becomes of programs that do not attack anything."""

import os
import signal
import threading

import pytest

from cme.errors import UsageError
from cme.sandbox import Isolation, Outcome, Program, bubblewrap, open_isolation, process, run, run_programs
from tests.sandbox.isolations import sandbox

RIGHT = "def f(x):\n    return x + 1\n"
TESTS = "assert f(1) == 2\n"

RARE_IMPORTS = "from decimal import Decimal\nfrom fractions import Fraction\n"
RARE = (
    "[10 ** 5000, 1j, b'x', frozenset({1}), float('inf'), Fraction(1, 3), Decimal('1.10'), range(3), None, '\\ud800']"
)

CASES: dict[str, tuple[Program, str]] = {
    "right": (Program(RIGHT, TESTS, ("f",)), "passed"),
    "wrong": (Program("def f(x):\n    return x\n", TESTS, ("f",)), "failed"),
    "no Python": (Program("Here is the function.", TESTS, ("f",)), "error"),
    "unfinished last definition": (Program(f"{RIGHT}\ndef g(x):\n    return (x +", TESTS, ("f",)), "passed"),
    "unfinished repetition": (Program(f"{RIGHT}\n{RIGHT}\ndef f(x):\n    return x[", TESTS, ("f",)), "passed"),
    "error before the last definition": (Program(f"def g(x):\n    return (\n\n{RIGHT}", TESTS, ("f",)), "error"),
    "unfinished program": (Program("def f(x):\n    return (x +", TESTS, ("f",)), "error"),
    "unfinished function after a helper": (
        Program("def g(x):\n    return x\n\ndef f(x):\n    return (", TESTS, ("f",)),
        "error",
    ),
    "another name": (Program("def g(x):\n    return x + 1\n", TESTS, ("f",)), "error"),
    "raises": (Program("def f(x):\n    return x / 0\n", TESTS, ("f",)), "error"),
    "raises an error of time": (Program("def f(x):\n    raise TimeoutError('too slow')\n", TESTS, ("f",)), "error"),
    "opens a folder": (Program("def f(x):\n    return open('/tmp').read()\n", TESTS, ("f",)), "error"),
    "raises an error of permission without the system": (
        Program("def f(x):\n    raise PermissionError('not for you')\n", TESTS, ("f",)),
        "error",
    ),
    "writes where it may not": (Program("def f(x):\n    open('/usr/x', 'w')\n", TESTS, ("f",)), "blocked"),
    "an error that the tests expect": (
        Program(
            "def f(x):\n    raise ValueError(x)\n",
            "try:\n    f(1)\nexcept ValueError:\n    pass\nelse:\n    assert False\n",
            ("f",),
        ),
        "passed",
    ),
    "an exit that the tests would catch": (
        Program("def f(x):\n    raise SystemExit\n", "try:\n    f(1)\nexcept BaseException:\n    pass\n", ("f",)),
        "exited",
    ),
    "classes of the program": (
        Program(
            "class Node:\n    def __init__(self, value):\n        self.value, self.next = value, None\n"
            "def f(node):\n    return node.value + (f(node.next) if node.next else 0)\n",
            "first = Node(1)\nfirst.next = Node(2)\nassert f(first) == 3\n",
            ("f", "Node"),
        ),
        "passed",
    ),
    "list of objects of the program": (
        Program(
            "class Pair:\n    def __init__(self, a, b):\n        self.a, self.b = a, b\n"
            "def f(pairs):\n    return [p.a for p in pairs]\n",
            "assert f([Pair(1, 2), Pair(3, 4)]) == [1, 3]\n",
            ("f", "Pair"),
        ),
        "passed",
    ),
    "member of an enumeration": (
        Program(
            "import enum\nclass E(enum.Enum):\n    A = 1\ndef f():\n    return E.A\n", "assert f() == E.A\n", ("E", "f")
        ),
        "passed",
    ),
    "iterator": (
        Program("def f(x):\n    yield x\n    yield from (2, 3)\n", "assert list(f(1)) == [1, 2, 3]\n", ("f",)),
        "passed",
    ),
    "iterator in a set": (
        Program("def f():\n    return map(abs, (-1, 1))\n", "assert set(f()) == {1}\n", ("f",)),
        "passed",
    ),
    "counter": (
        Program(
            "from collections import Counter\ndef f(x):\n    return Counter(x)\n",
            "assert f('aab') == {'a': 2, 'b': 1}\n",
            ("f",),
        ),
        "passed",
    ),
    "tuple for a list": (Program("def f():\n    return (1, 2)\n", "assert f() == [1, 2]\n", ("f",)), "failed"),
    "name of a built-in function": (
        Program("def sum(a, b):\n    return a * b\n", "assert sum(3, 4) == 12\n", ("sum",)),
        "passed",
    ),
    "built-in functions of the tests are their own": (
        Program("def f():\n    return 5.0\nabs = lambda x: 0\n", "assert abs(f() - 1) < 0.1\n", ("f",)),
        "failed",
    ),
    "helper of the setup is its own": (
        Program(
            "def double(x):\n    return 0\ndef f(x):\n    return 1\n",
            "assert f(2) == double(2)\n",
            ("f",),
            "def double(x):\n    return 2 * x\n",
        ),
        "failed",
    ),
    "large and rare values": (
        Program(f"{RARE_IMPORTS}def f():\n    return {RARE}\n", f"{RARE_IMPORTS}assert f() == {RARE}\n", ("f",)),
        "passed",
    ),
    "main guard": (Program(f"{RIGHT}if __name__ == '__main__':\n    raise SystemExit\n", TESTS, ("f",)), "passed"),
    "data class": (
        Program(
            "from dataclasses import dataclass\n@dataclass\nclass D:\n    x: 'int'\ndef f(x):\n    return D(x + 1).x\n",
            TESTS,
            ("f",),
        ),
        "passed",
    ),
    "threads": (
        Program(
            "from concurrent.futures import ThreadPoolExecutor\ndef f(x):\n    with ThreadPoolExecutor(2) as pool:\n"
            "        return sum(pool.map(int, [x, 1]))\n",
            TESTS,
            ("f",),
        ),
        "passed",
    ),
    "asyncio": (
        Program("import asyncio\ndef f(x):\n    return asyncio.run(asyncio.sleep(0, x + 1))\n", TESTS, ("f",)),
        "passed",
    ),
    "output": (Program(f"print('hello')\n{RIGHT}", TESTS, ("f",)), "passed"),
    "own file": (Program(f"open('x', 'w').write('1')\n{RIGHT}", TESTS, ("f",)), "passed"),
}


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Outcome]:
    isolation = sandbox()
    return dict(zip(CASES, run_programs([program for program, _ in CASES.values()], isolation), strict=True))


@pytest.mark.parametrize("name", CASES)
def test_outcome(outcomes, name):
    assert outcomes[name].status == CASES[name][1], outcomes[name]


def test_without_a_sandbox_the_limits_hold():
    isolation = open_isolation("unsandboxed")
    given = {
        RIGHT: "passed",
        "numbers = [0] * (10 * 2**30 // 8)\n": "memory",
        "for _ in range(99):\n    print('x' * 2**20)\n": "blocked",
        "import os\nos._exit(0)\n": "exited",
    }
    outcomes = run_programs([Program(source, TESTS, ("f",)) for source in given], isolation)
    assert [outcome.status for outcome in outcomes] == list(given.values())


def test_equal_programs_have_equal_outcomes():
    # Without a fixed seed, the order of a set of texts and the random numbers would differ between runs.
    source = "import random\ndef f():\n    return list({'a', 'b', 'c', 'd'}), random.random()\n"
    program = Program(source, "raise ValueError(str(f()))\n", ("f",))
    first, second = run_programs([program, program], sandbox())
    assert first.status == "error"
    assert first.detail == second.detail


def test_outcomes_come_in_the_order_of_the_programs():
    seen: list[int] = []
    programs = [Program(RIGHT if k % 2 else "x", TESTS, ("f",)) for k in range(6)]
    outcomes = run_programs(programs, sandbox(), lambda number, outcome: seen.append(number), workers=3)
    assert [outcome.passed for outcome in outcomes] == [False, True] * 3
    assert sorted(seen) == list(range(6))


def test_an_error_while_programs_run_stops_the_others(monkeypatch):
    started: list[Program] = []
    run_program = run.run_program

    def counted(program: Program, *rest: object) -> Outcome:
        started.append(program)
        return run_program(program, *rest)

    monkeypatch.setattr(run, "run_program", counted)

    def fail(number: int, outcome: Outcome) -> None:
        raise KeyboardInterrupt

    slow = Program("import time\ntime.sleep(4)\n", TESTS, ("f",))
    threads = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        run_programs([Program(RIGHT, TESTS, ("f",)), *[slow] * 40], sandbox(), fail, workers=2)
    assert threading.active_count() == threads
    assert 0 < len(started) < 20


@pytest.mark.parametrize(
    ("processors", "free", "expected"), [(64, None, 64), (2, 64 * 2**30, 2), (64, 8 * 2**30, 5), (64, 2**20, 1)]
)
def test_as_many_programs_run_at_once_as_processors_and_memory_allow(monkeypatch, processors, free, expected):
    pools = []

    class Pool(run.ThreadPoolExecutor):
        def __init__(self, workers):
            pools.append(workers)
            super().__init__(workers)

    monkeypatch.setattr(run, "ThreadPoolExecutor", Pool)
    monkeypatch.setattr(run, "usable_processors", lambda: processors)
    monkeypatch.setattr(run, "free_memory", lambda: free)
    run_programs([], Isolation(None))
    assert pools == [expected]


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGKILL, "memory"), (signal.SIGXCPU, "timeout"), (signal.SIGSEGV, "crashed")]
)
def test_tests_that_the_system_kills_are_reported_as_what_they_are(number, status):
    tests = f"import os\nos.kill(os.getpid(), {int(number)})\n"
    (outcome,) = run_programs([Program(RIGHT, tests, ("f",))], Isolation(None))
    assert outcome.status == status, outcome
    assert outcome.detail


def test_missing_bubblewrap_is_one_message(monkeypatch):
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(
        UsageError, match=r"there is no bwrap\. Install it .*apt install bubblewrap.*--run-code=unsandboxed"
    ):
        open_isolation("sandboxed")


def test_an_old_bubblewrap_is_refused(tmp_path, monkeypatch):
    fake(tmp_path, monkeypatch, "echo bubblewrap 0.6.1")
    with pytest.raises(UsageError, match=r"requires bubblewrap 0\.8 or later, but .* has version 0\.6\.1.*conda-forge"):
        open_isolation("sandboxed")


def test_a_bubblewrap_that_may_not_make_namespaces_is_refused(tmp_path, monkeypatch):
    fake(tmp_path, monkeypatch, "[ $1 = --version ] && echo bubblewrap 0.9.0 || { echo no permissions >&2; exit 1; }")
    with pytest.raises(
        UsageError, match=r"cannot make a sandbox: .*no permissions.*A container must.*AppArmor.*docs/code\.md"
    ):
        open_isolation("sandboxed")


def fake(folder, monkeypatch, script: str) -> None:
    file = folder / "bwrap"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


@pytest.mark.parametrize(
    ("place", "shown"),
    [
        ("/usr/libexec/platform-python", True),
        ("/usr/lib/python3/bin/python", False),
        ("/usr/bin/python3.11", True),
        ("/opt/x/python", True),
    ],
)
def test_an_interpreter_outside_of_the_libraries_is_shown(monkeypatch, place, shown):
    monkeypatch.setattr(bubblewrap, "interpreter", lambda: place)
    options = bubblewrap._mounts.__wrapped__()
    assert any(options[number : number + 3] == ("--ro-bind", place, place) for number in range(len(options))) == shown


def test_an_unknown_mode_is_refused():
    with pytest.raises(UsageError, match=r"unknown way to run code 'sandbox'\. Did you mean 'sandboxed'"):
        open_isolation("sandbox")


def test_a_processor_without_a_filter_is_refused(monkeypatch):
    sandbox()
    monkeypatch.setattr(run, "seccomp_filter", lambda: None)
    with pytest.raises(UsageError, match="requires one of the processors x86_64, aarch64"):
        open_isolation("sandboxed")


def test_a_program_that_is_too_long_is_not_started(monkeypatch):
    monkeypatch.setattr(process.subprocess, "Popen", None)
    (outcome,) = run_programs([Program("#" * 100_001, TESTS, ("f",))], Isolation(None))
    assert outcome == Outcome("error", "the program has more than 100,000 characters")
