"""Progress of long work: bars on a terminal, silence in a pipe."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

__all__ = ["Bar", "bar", "table"]


class Bar(Protocol):
    """A progress bar, or nothing at all.

    Attributes:
        shown: whether anybody sees it.
    """

    shown: bool

    def advance(self, steps: float = 1) -> None:
        """Move on by so many steps."""
        ...

    def describe(self, text: str) -> None:
        """Change the text before the bar."""
        ...

    def expect(self, total: float) -> None:
        """Say how many steps there are, where that was not known at the start."""
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
        description: what is going on.
        total: how many steps there are; None if that is not known.
    """
    progress = _progress("{task.description}")
    if progress is None:
        yield _Silent()
        return
    with progress:
        yield _Shown(progress, progress.add_task(description, total=total), "description")


@contextmanager
def table(names: Sequence[str], *, whole: str, shown: bool = True) -> Iterator[Callable[[str], Bar]]:
    """Show a live table on standard error while the block runs, if that is a terminal: a row with a bar for each piece of work.

    A row stands still until its ``expect`` is called, and is done with the last of its steps; ``describe`` sets what is said
    beside its name.

    Args:
        names: of the pieces, in order.
        whole: name of the last row, which counts the pieces that are done.
        shown: False: nothing is shown, as where another process shows it.

    Yields:
        A function from a name to its row's bar.
    """
    progress = _progress("{task.description}", "{task.fields[said]}") if shown else None
    if progress is None:
        yield lambda name: _Silent()
        return
    with progress:
        tasks = {name: progress.add_task(name, total=None, start=False, said="") for name in names}
        last = progress.add_task(whole, total=len(names), said="")

        def count() -> None:
            progress.update(last, completed=sum(task.finished for task in progress.tasks if task.id != last))

        yield lambda name: _Shown(progress, tasks[name], "said", count)


class _Shown:
    """A bar on a terminal.

    Args:
        progress: rich's.
        task: its number there.
        text: which of its fields ``describe`` sets.
        moved: called after each step.
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
    """Rich's bars behind some texts, or None where standard error is no terminal."""
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
            """A bar from the start on; until then rich would let it pulse."""
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
