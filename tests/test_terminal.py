"""Untrusted text cannot control a terminal, and characters that a terminal cannot show do not cause an error."""

import json
import os
import subprocess
import sys

import pytest

from cme.terminal import harmless


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", r"\x1b[2J"),
        ("\x9b31m", r"\x9b31m"),
        ("a\rb", r"a\x0db"),
        ("\x07\x00\x7f", r"\x07\x00\x7f"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("\u2066x\u2069", r"\u2066x\u2069"),
        ("\ud800", r"\ud800"),
        ("line\n\tnext – é 😀 \xa0", "line\n\tnext – é 😀 \xa0"),
    ],
)
def test_control_characters_are_escaped(text, shown):
    assert harmless(text) == shown


@pytest.fixture
def run(tmp_path):
    def run(*arguments, **environment):
        return subprocess.run(
            [sys.executable, "-m", "cme", *map(str, arguments)],
            capture_output=True,
            env={**os.environ, **environment},
            check=False,
        )

    return run


ENCODINGS = [
    {"PYTHONIOENCODING": "ascii"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"PYTHONIOENCODING": "latin-1"},
]


@pytest.mark.parametrize("environment", ENCODINGS, ids=lambda environment: next(iter(environment.values())))
@pytest.mark.parametrize(
    "arguments", [["--help"], ["ls", "datasets"], ["show", "--source", "mini", "--dataset", "qqp"]]
)
def test_a_terminal_that_is_not_utf8(run, arguments, environment):
    done = run(*arguments, **environment)
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    if arguments[0] == "show":
        # The line that begins a sample has a dash that these encodings lack.
        assert b"\\u2500" in done.stdout


def test_a_name_cannot_control_the_terminal(run, tmp_path):
    (tmp_path / "entries").mkdir()
    (tmp_path / "entries" / "x\x1b[2J.json").write_text("{}")
    (tmp_path / "entries" / "y.json").write_text(json.dumps({"kind": "\x1b]0;owned\x07"}))
    done = run("leaderboard", "verify", tmp_path / "entries")
    assert done.returncode == 1
    assert b"\x1b" not in done.stdout + done.stderr and b"\x07" not in done.stdout + done.stderr
    done = run("leaderboard", "verify", tmp_path / "entries", "--json")
    assert len(json.loads(done.stdout)) == 2
    done = run("eval", "--adapter", "\x1b[2Jx", "--source", "mini", "--out", tmp_path / "out\x9b")
    assert done.returncode != 0 and b"\x1b" not in done.stderr and "\x9b".encode() not in done.stderr
