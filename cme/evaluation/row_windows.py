"""The rows of each dataset that the loader renders, for evaluations that grow row by row."""

from collections.abc import Callable, Sequence
from typing import Any

from cme.data.example import Example

__all__ = ["RowWindows", "Window"]

Window = tuple[int, int]
"""The rows from a first index up to, but not including, a second one, in tier order."""


class RowWindows:
    """Tell `cme.evaluation.task.load` which rows to render, and keep the examples that it has read.

    An evaluation that grows in several stages reads the rows of each dataset once. lm-eval passes this object on as part of a
    task's metadata.

    Attributes:
        available: number of rows of each dataset in the tier, known after its first load.
    """

    def __init__(self) -> None:
        self.available: dict[str, int] = {}
        self._windows: dict[str, Window] = {}
        self._kept: dict[tuple[str, str], list[Any]] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> "RowWindows":
        # lm-eval copies the metadata of its tasks, and the examples of a whole suite are large.
        return self

    def set(self, dataset: str, window: Window) -> None:
        """Set the rows that the next load of a dataset renders."""
        self._windows[dataset] = window

    def cut(self, dataset: str, rows: Sequence[Example]) -> Sequence[Example]:
        """Return the rows to render from all rows of the tier. These are all of them if no window was set."""
        self.available[dataset] = len(rows)
        start, stop = self._windows.get(dataset, (0, len(rows)))
        return rows[start:stop]

    def once(self, dataset: str, what: str, read: Callable[[], list[Any]]) -> list[Any]:
        """Return what was read for a dataset before, or read it now."""
        if (dataset, what) not in self._kept:
            self._kept[dataset, what] = read()
        return self._kept[dataset, what]
