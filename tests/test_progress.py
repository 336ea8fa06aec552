import io
import sys

import pytest

from cme.errors import UsageError
from cme.progress import SECONDS, bar, table


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


@pytest.fixture
def lines(monkeypatch, capsys):
    """Return what is printed, as a function, and the time as a list of one number of seconds."""
    now = [0.0]
    monkeypatch.setenv("CME_PROGRESS", "lines")
    monkeypatch.setattr("cme.progress.time.monotonic", lambda: now[0])
    return lambda: capsys.readouterr().err, now


def test_lines_are_printed_to_a_pipe_at_most_every_twenty_seconds(lines):
    printed, now = lines
    with bar("Training lora", 200) as progress:
        for _ in range(10):
            now[0] += SECONDS / 4
            progress.advance(20)
    assert printed().splitlines() == ["Training lora: 80 of 200 (0:20 min)", "Training lora: 160 of 200 (0:40 min)"]


def test_short_work_prints_no_line(lines):
    printed, now = lines
    with bar("Reading", 2) as progress:
        now[0] += SECONDS - 1
        progress.advance(2)
    assert printed() == ""


def test_an_unknown_total_is_left_out(lines):
    printed, now = lines
    with bar("Training rows") as progress:
        now[0] += 61
        progress.advance(1234)
    assert printed() == "Training rows: 1,234 (1:01 min)\n"


def test_a_table_prints_the_complete_tasks_and_the_current_one(lines):
    printed, now = lines
    with table(["qqp", "arc"], whole="datasets") as row:
        row("qqp").expect(4)
        row("qqp").advance(4)
        row("arc").expect(8)
        now[0] += SECONDS
        row("arc").advance(2)
        row("arc").describe("25.0")
    assert printed() == "datasets: 1 of 2, arc: 2 of 8 (0:20 min)\n"


def test_a_hidden_table_prints_no_lines(lines):
    printed, now = lines
    with table(["qqp"], whole="datasets", shown=False) as row:
        row("qqp").expect(4)
        now[0] += 100
        row("qqp").advance(4)
    assert printed() == ""


def test_an_unknown_kind_of_progress_is_refused(monkeypatch):
    monkeypatch.setenv("CME_PROGRESS", "line")
    with pytest.raises(UsageError, match=r"CME_PROGRESS.*'line'.*lines"), bar("x", 1):
        pass
