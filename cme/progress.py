"""Progress of long work: bars on a terminal, lines if ``CME_PROGRESS=lines`` is set, and otherwise nothing."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from cme.errors import unknown

__all__ = ["SECONDS", "Bar", "announce", "announced", "bar", "table"]

SECONDS = 20.0
"""Least time between two lines of progress."""

_VARIABLE = "CME_PROGRESS"


_listeners: list[Callable[[str], None]] = []


@contextmanager
def announced(show: Callable[[str], None]) -> Iterator[None]:
    """Show what long work announces while the block runs. Without this, as from Python, nothing is shown.

    Args:
        show: shows a message to the user.
    """
    _listeners.append(show)
    try:
        yield
    finally:
        _listeners.remove(show)


def announce(text: str) -> None:
    """Tell the user of a command what will be done.

    Args:
        text: one message.
    """
    for show in _listeners:
        show(text)


class Bar(Protocol):
    """A progress bar, which may be invisible.

    Attributes:
        shown: whether the bar is visible.
    """

    shown: bool

    def advance(self, steps: float = 1) -> None:
        """Advance by a number of steps."""
        ...

    def describe(self, text: str) -> None:
        """Change the text of the bar."""
        ...

    def expect(self, total: float) -> None:
        """Set the total number of steps, if it was unknown at the start."""
        ...


class _Silent:
    shown = False

    def advance(self, steps: float = 1) -> None:
        return

    def describe(self, text: str) -> None:
        return

    def expect(self, total: float) -> None:
        return


@contextmanager
def bar(description: str, total: float | None = None) -> Iterator[Bar]:
    """Show a progress bar on standard error while the block runs, if that is a terminal.

    With ``CME_PROGRESS=lines``, a line is printed instead at most every 20 seconds, also to a file or a pipe.

    Args:
        description: text before the bar.
        total: total number of steps, or None if it is unknown.

    Raises:
        UsageError: the variable has another value.
    """
    if _lines():
        yield _Line(_Printer(), description, total)
        return
    progress = _progress("{task.description}")
    if progress is None:
        yield _Silent()
        return
    with progress:
        yield _Shown(progress, progress.add_task(description, total=total), "description")


@contextmanager
def table(names: Sequence[str], *, whole: str, shown: bool = True) -> Iterator[Callable[[str], Bar]]:
    """Show a live table on standard error while the block runs, if that is a terminal. Each task has a row with a bar.

    A row starts when its ``expect`` is called, and is complete after its last step. ``describe`` sets the text beside the name.

    Args:
        names: names of the tasks, in order.
        whole: name of the last row, which counts the complete tasks.
        shown: whether to show the table. False if another process shows it.

    Yields:
        A function that returns the bar of a task by its name.

    Raises:
        UsageError: ``CME_PROGRESS`` has an unknown value.
    """
    if shown and _lines():
        yield _LineTable(names, whole).row
        return
    progress = _progress("{task.description}", "{task.fields[status]}") if shown else None
    if progress is None:
        yield lambda name: _Silent()
        return
    with progress:
        tasks = {name: progress.add_task(name, total=None, start=False, status="") for name in names}
        last = progress.add_task(whole, total=len(names), status="")

        def count() -> None:
            progress.update(last, completed=sum(task.finished for task in progress.tasks if task.id != last))

        yield lambda name: _Shown(progress, tasks[name], "status", count)


class _Printer:
    """Prints a line of progress on standard error if the last one is long enough ago. The first one comes after 20 seconds."""

    def __init__(self) -> None:
        self._start = self._last = time.monotonic()

    def print(self, text: str) -> None:
        """Print a text with the elapsed time, or do nothing."""
        now = time.monotonic()
        if now - self._last >= SECONDS:
            self._last = now
            minutes, seconds = divmod(round(now - self._start), 60)
            sys.stderr.write(f"{text} ({minutes}:{seconds:02d} min)\n")
            sys.stderr.flush()


class _Line:
    """A bar that is shown as lines of text.

    Args:
        printer: prints the lines.
        text: text before the number of steps.
        total: total number of steps, if it is known.
        before: returns a text that precedes the line.
    """

    shown = False

    def __init__(
        self, printer: _Printer, text: str, total: float | None, before: Callable[[], str] = lambda: ""
    ) -> None:
        self._printer, self._text, self._total, self._before, self._steps = printer, text, total, before, 0.0

    @property
    def finished(self) -> bool:
        """Whether all steps are done."""
        return self._total is not None and self._steps >= self._total

    def advance(self, steps: float = 1) -> None:
        self._steps += steps
        of = "" if self._total is None else f" of {self._total:,.0f}"
        self._printer.print(f"{self._before()}{self._text}: {self._steps:,.0f}{of}")

    def describe(self, text: str) -> None:
        return

    def expect(self, total: float) -> None:
        self._total = total


class _LineTable:
    """A table of tasks that is shown as lines of text. A line names the number of complete tasks and the task in progress.

    Args:
        names: names of the tasks.
        whole: name of all tasks.
    """

    def __init__(self, names: Sequence[str], whole: str) -> None:
        printer = _Printer()
        self._whole = whole
        self._rows = {name: _Line(printer, name, None, before=self._count) for name in names}

    def row(self, name: str) -> Bar:
        """Return the bar of a task."""
        return self._rows[name]

    def _count(self) -> str:
        complete = sum(row.finished for row in self._rows.values())
        return f"{self._whole}: {complete} of {len(self._rows)}, "


def _lines() -> bool:
    """Return whether progress is printed as lines.

    Raises:
        UsageError: the variable has an unknown value.
    """
    value = os.environ.get(_VARIABLE, "")
    if value not in ("", "lines"):
        raise unknown(f"value of {_VARIABLE}", value, ("lines",))
    return value == "lines"


class _Shown:
    """A bar on a terminal.

    Args:
        progress: the progress display of rich.
        task: id of the task in the display.
        text: the field that ``describe`` sets.
        moved: function that is called after each step.
    """

    shown = True

    def __init__(self, progress: Any, task: Any, text: str, moved: Callable[[], None] = lambda: None) -> None:
        self._progress, self._task, self._text, self._moved = progress, task, text, moved

    def advance(self, steps: float = 1) -> None:
        self._progress.advance(self._task, steps)
        self._moved()

    def describe(self, text: str) -> None:
        self._progress.update(self._task, **{self._text: text})

    def expect(self, total: float) -> None:
        self._progress.start_task(self._task)
        self._progress.update(self._task, total=total)
        self._moved()


def _progress(*texts: str) -> Any:
    """Make a progress display of rich with some texts, or return None if standard error is not a terminal."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        return None
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Bars(BarColumn):
        def render(self, task: Any) -> Any:
            """Render the bar of a started task only. Rich would show a pulsing bar for the others."""
            return super().render(task) if task.started else Text("")

    return Progress(
        *map(TextColumn, texts),
        Bars(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
