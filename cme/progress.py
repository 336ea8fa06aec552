"""Progress of long work: bars on a terminal, silence in a pipe."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

__all__ = ["Bar", "bar"]


class Bar(Protocol):
    """A progress bar, or nothing at all."""

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
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Silent()
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(description, total=total)

        class _Shown:
            def advance(self, steps: float = 1) -> None:
                progress.advance(task, steps)

            def describe(self, text: str) -> None:
                progress.update(task, description=text)

            def expect(self, total: float) -> None:
                progress.update(task, total=total)

        yield _Shown()
