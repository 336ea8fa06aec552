"""The record of a learning-rate grid."""

from dataclasses import dataclass
from typing import ClassVar

__all__ = ["Grid", "GridRun"]


@dataclass(frozen=True)
class GridRun:
    """One rate of a grid.

    Attributes:
        learning_rate: as tried.
        folder: the run's, below the grid's.
        validation_loss: at the end; None: training diverged.
        last_loss: the last training loss that was logged; None as above.
        problem: why there is no loss.
    """

    learning_rate: float
    folder: str
    validation_loss: float | None
    last_loss: float | None
    problem: str | None


@dataclass(frozen=True)
class Grid:
    """All rates of a grid.

    Attributes:
        method: the adapter's.
        steps: optimiser steps of every run.
        runs: in the order of their rates.
        best: folder of the run with the lowest validation loss; None before all are done.
        learning_rate: of that run.
    """

    KIND: ClassVar[str] = "lr-grid"
    SCHEMA_VERSION: ClassVar[int] = 1

    method: str
    steps: int
    runs: tuple[GridRun, ...]
    best: str | None
    learning_rate: float | None

    @property
    def at_edge(self) -> bool:
        """Whether the best rate is the lowest or highest tried, so that a better one may lie beyond."""
        return self.learning_rate in (self.runs[0].learning_rate, self.runs[-1].learning_rate)
