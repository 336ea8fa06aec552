"""The record of a learning-rate grid."""

from typing import ClassVar

from cme.config import Items
from cme.records.base import Artefact, Record

__all__ = ["ChosenGrid", "Grid", "GridRun"]


class GridRun(Record):
    """One rate of a grid.

    Attributes:
        learning_rate: the learning rate.
        folder: folder of the run inside that of the grid.
        validation_loss: validation loss at the end; None if training diverged.
        last_loss: last logged training loss; None if training diverged.
        problem: reason why there is no loss, or None.
    """

    learning_rate: float
    folder: str
    validation_loss: float | None
    last_loss: float | None
    problem: str | None


class _Rates(Record):
    """All rates of a grid.

    Attributes:
        method: adapter method.
        steps: number of optimiser steps of every run.
        runs: the runs, sorted by learning rate.
        best: folder of the run with the lowest validation loss; None until all runs have finished.
        learning_rate: learning rate of that run.
    """

    method: str
    steps: int
    runs: Items[GridRun]
    best: str | None
    learning_rate: float | None


class Grid(_Rates, Artefact):
    """A learning-rate grid, as stored in ``lr-grid.json``."""

    KIND: ClassVar[str] = "lr-grid"
    SCHEMA_VERSION: ClassVar[int] = 1

    @property
    def at_edge(self) -> bool:
        """Whether the best rate is the lowest or highest of the grid, so that a better one may lie outside."""
        return self.learning_rate in (self.runs[0].learning_rate, self.runs[-1].learning_rate)


class ChosenGrid(_Rates):
    """The grid from which the learning rate of a leaderboard row was chosen.

    Attributes:
        at_edge: whether the best rate is the lowest or highest of the grid, so that a better one may lie outside.
    """

    at_edge: bool
