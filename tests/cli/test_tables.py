"""Tables: plain and whole in a pipe, fitted to the window on a terminal."""

import io
import os
import pty
import subprocess
import sys
import termios

import pytest

from cme.cli.tables import show_table

LONG = "a sentence that is much longer than the window in which it is going to be shown to somebody"
ROWS = [["lora", 5, "1,000", LONG], ["teamlora", None, "20", "x"]]
COLUMNS = ["method", "n", "rows", "what"]


@pytest.mark.parametrize("variables", [{}, {"FORCE_COLOR": "1", "COLUMNS": "20"}, {"TERM": "dumb"}])
def test_in_a_pipe_it_is_plain_text_of_any_width(capsys, monkeypatch, variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    show_table(COLUMNS, ROWS)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[0].split() == COLUMNS
    assert set(lines[1]) <= set("- ")
    assert lines[2].split(maxsplit=3) == ["lora", "5", "1,000", LONG]
    assert lines[3].split() == ["teamlora", "20", "x"]
    # Numbers end in the same column, words begin in the same one.
    assert lines[2].index("1,000") + 5 == lines[3].index("20") + 2
    assert lines[2].index(LONG) == lines[3].index("x")
    assert not any(line != line.rstrip() for line in lines)


def test_what_a_cell_holds_is_text_not_markup_and_obeyed_by_no_terminal(capsys):
    show_table(["a"], [["[bold]x[/bold] [/]"], [":smile:"], ["\x1b[31mred\n\r"]])
    assert capsys.readouterr().out.splitlines()[2:] == ["[bold]x[/bold] [/]", ":smile:", "\ufffd[31mred\ufffd\ufffd"]


def test_a_table_without_rows_has_its_head(capsys):
    show_table(["one", "two"], [])
    assert capsys.readouterr().out.splitlines()[0].split() == ["one", "two"]


@pytest.mark.parametrize("width", [60, 200])
def test_on_a_terminal_it_fits_the_window(width):
    leader, follower = pty.openpty()
    termios.tcsetwinsize(follower, (40, width))
    code = f"from cme.cli.tables import show_table; show_table({COLUMNS!r}, {ROWS!r})"
    clean = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES", "FORCE_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=follower, stdout=follower, env={**clean, "NO_COLOR": "1", "TERM": "xterm"}
    )
    os.close(follower)
    shown = io.BytesIO()
    try:
        while chunk := os.read(leader, 4096):
            shown.write(chunk)
    except OSError:  # Linux says so when the other side is closed.
        pass
    os.close(leader)
    assert process.wait() == 0
    text = shown.getvalue().decode().replace("\x1b[1m", "").replace("\x1b[0m", "")
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    assert (len(lines) == 4) == (width == 200)
    # Nothing is cut off: the words of the sentence are all there.
    assert set(LONG.split()) <= set(text.split())
