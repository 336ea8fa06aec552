"""Progress bars for long work. They are shown on a terminal only."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

__all__ = ["Bar", "bar", "table"]


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

    Args:
        description: text before the bar.
        total: total number of steps, or None if it is unknown.
    """
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
    """
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
