import io
import sys

from cme.progress import bar


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


def test_a_terminal_sees_what_goes_on(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TERM"):
        monkeypatch.delenv(name, raising=False)
    stream = Terminal()
    use(stream, monkeypatch)
    assert "arc" in stream.getvalue() and "3/3" in stream.getvalue()
