"""The record of a learning-rate grid."""

from typing import ClassVar

from cme.config import Items
from cme.records.base import Artefact, Record

__all__ = ["ChosenGrid", "Grid", "GridRun"]


class GridRun(Record):
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


class _Rates(Record):
    """All rates of a grid.

    Attributes:
        method: the adapter's.
        steps: optimiser steps of every run.
        runs: in the order of their rates.
        best: folder of the run with the lowest validation loss; None before all are done.
        learning_rate: of that run.
    """

    method: str
    steps: int
    runs: Items[GridRun]
    best: str | None
    learning_rate: float | None


class Grid(_Rates, Artefact):
    """All rates of a grid, as ``lr-grid.json`` holds them."""

    KIND: ClassVar[str] = "lr-grid"
    SCHEMA_VERSION: ClassVar[int] = 1

    @property
    def at_edge(self) -> bool:
        """Whether the best rate is the lowest or highest tried, so that a better one may lie beyond."""
        return self.learning_rate in (self.runs[0].learning_rate, self.runs[-1].learning_rate)


class ChosenGrid(_Rates):
    """The grid that the learning rate of a leaderboard row was chosen by.

    Attributes:
        at_edge: whether the best rate is the lowest or highest tried, so that a better one may lie beyond.
    """

    at_edge: bool
