import io
import sys

import pytest

from cme.progress import bar, table


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    return Terminal()


def use(stream, monkeypatch):
    monkeypatch.setattr(sys, "stderr", stream)
    with bar("qqp", 3) as progress:
        progress.advance()
        progress.describe("arc")
        progress.advance(2)


def test_a_pipe_sees_nothing(monkeypatch):
    stream = io.StringIO()
    use(stream, monkeypatch)
    assert stream.getvalue() == ""


def test_a_terminal_sees_what_goes_on(terminal, monkeypatch):
    use(terminal, monkeypatch)
    assert "arc" in terminal.getvalue() and "3/3" in terminal.getvalue()


def last_screen(stream):
    """Return the lines that were drawn last."""
    import re

    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue()).replace("\r", "\n")
    rows = [line.split() for line in text.splitlines() if line.strip()]
    return {row[0]: row for row in rows}


def work(row):
    one = row("qqp")
    one.expect(4)
    one.advance(3)
    one.describe("66.7")
    two = row("arc")
    two.expect(2)
    two.advance(2)
    two.describe("50.0")


def test_a_table_shows_each_piece_and_the_whole(terminal, monkeypatch):
    monkeypatch.setattr(sys, "stderr", terminal)
    with table(["qqp", "arc", "nq_open"], whole="all") as row:
        work(row)
    screen = last_screen(terminal)
    assert set(screen) >= {"qqp", "arc", "nq_open", "all"}
    assert "66.7" in screen["qqp"] and "3/4" in screen["qqp"]
    assert "50.0" in screen["arc"] and "2/2" in screen["arc"]
    assert "1/3" in screen["all"]
    assert not any("." in cell for cell in screen["nq_open"][1:])


def test_a_table_in_a_pipe_is_silent(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with table(["qqp", "arc"], whole="all") as row:
        work(row)
    assert stream.getvalue() == ""
