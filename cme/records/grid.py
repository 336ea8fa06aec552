"""The record of a learning-rate grid."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeGuard

from cme.config import Items
from cme.errors import CMEError
from cme.records.base import Artefact, Count, Record, read_record
from cme.records.method import with_gate_sum
from cme.records.settings import AdapterRecord

__all__ = [
    "DIVERGED",
    "GRID",
    "ChosenGrid",
    "Diverged",
    "Grid",
    "GridRun",
    "chosen_rate",
    "chosen_run",
    "chosen_settings",
    "folder_of",
]

GRID = "lr-grid.json"
"""Name of the file with a grid, in the grid's folder."""

DIVERGED = "diverged.json"
"""Name of the file that says that a run diverged, in the run's folder."""


Setting = bool | int | float | str
"""The value of a setting that a grid varies beside the learning rate."""


class GridRun(Record):
    """One rate of a grid.

    Attributes:
        learning_rate: the learning rate.
        folder: folder of the run inside that of the grid.
        validation_loss: validation loss at the end; None if training diverged.
        last_loss: last logged training loss; None if training diverged.
        problem: reason why there is no loss, or None.
        settings: values of the adapter's settings that the grid varies beside the rate, such as the rank; None if it varies the
            rate only.
        grad_norm: median of the logged norms of the gradient before clipping; None if no norm is known.
    """

    LEFT_OUT: ClassVar[tuple[str, ...]] = ("settings", "grad_norm")

    learning_rate: float
    folder: str
    validation_loss: float | None
    last_loss: float | None
    problem: str | None
    settings: dict[str, Setting] | None = None
    grad_norm: float | None = None


class _Rates(Record):
    """All rates of a grid.

    Attributes:
        method: adapter method.
        steps: number of optimiser steps of every run.
        runs: the runs, sorted by learning rate. If other settings vary too, the runs of equal settings follow each other.
        best: folder of the run with the lowest validation loss; None until all runs have finished.
        learning_rate: learning rate of that run.
        seed: seed of every run; None in records of earlier versions, as for all that follow.
        base_fingerprint: SHA-256 of the base's configuration and weights.
        mix_fingerprint: fingerprint of the mix.
        dtype: data type of the base's weights.
        adapter: settings of the adapter. Those that the grid varies have other values in ``runs``.
    """

    LEFT_OUT: ClassVar[tuple[str, ...]] = ("seed", "base_fingerprint", "mix_fingerprint", "dtype", "adapter")

    method: str
    steps: int
    runs: Items[GridRun]
    best: str | None
    learning_rate: float | None
    seed: Count | None = None
    base_fingerprint: str | None = None
    mix_fingerprint: str | None = None
    dtype: str | None = None
    adapter: AdapterRecord | None = None

    def differences(self, base: str, mix: str, adapter: AdapterRecord) -> list[str]:
        """Return how a training differs from the runs of this grid, in words. What the grid does not record cannot differ.

        Args:
            base: fingerprint of the training's base.
            mix: fingerprint of its mix.
            adapter: settings of its adapter, with those that the grid chose.
        """
        found = [
            f"{what} {there[:12]} there, {here[:12]} here"
            for what, there, here in (("base", self.base_fingerprint, base), ("mix", self.mix_fingerprint, mix))
            if there is not None and there != here
        ]
        here, there = _compared(adapter.plain()), self._chosen_adapter()
        return found + [
            f"{key} {value} there, {here[key]} here"
            for key, value in there.items()
            if key in here and here[key] != value
        ]

    def _chosen_adapter(self) -> dict[str, Any]:
        """Return the recorded settings of the adapter with those that the grid chose. alpha / rank stays the same."""
        if self.adapter is None:
            return {}
        values = _compared(self.adapter.plain())
        chosen = (self.chosen.settings if self.chosen else None) or {}
        rank, own, alpha = chosen.get("rank"), self.adapter.rank, self.adapter.alpha
        if _numeric(rank) and own and alpha is not None and "alpha" not in chosen:
            values["alpha"] = alpha / own * rank
        return values | with_gate_sum(chosen)

    @property
    def chosen(self) -> GridRun | None:
        """The run with the lowest validation loss, or None until all runs have finished."""
        return next((run for run in self.runs if run.folder == self.best), None)

    @property
    def tuned(self) -> bool:
        """Whether settings of the adapter vary beside the learning rate."""
        return any(run.settings for run in self.runs)

    def rates_beside(self, run: GridRun) -> list[float]:
        """Return the learning rates of the runs with the same settings as a run, in the order of the runs."""
        return [other.learning_rate for other in self.runs if other.settings == run.settings]

    @property
    def settings_at_edge(self) -> list[str]:
        """Names of the numeric settings beside the rate whose chosen value is the lowest or highest that was tried."""
        chosen = (self.chosen.settings if self.chosen else None) or {}
        tried = {key: {(run.settings or {}).get(key) for run in self.runs} for key in chosen}
        return [
            key
            for key, value in chosen.items()
            if len(numbers := [other for other in tried[key] if _numeric(other)]) > 1
            and _numeric(value)
            and value in (min(numbers), max(numbers))
        ]


class Grid(_Rates, Artefact):
    """A learning-rate grid, as stored in ``lr-grid.json``."""

    KIND: ClassVar[str] = "lr-grid"
    SCHEMA_VERSION: ClassVar[int] = 1

    @property
    def at_edge(self) -> bool:
        """Whether the best rate is the lowest or highest with its settings, so that a better one may lie outside."""
        if self.chosen is None:
            return False
        rates = self.rates_beside(self.chosen)
        return self.learning_rate in (min(rates), max(rates))


class Diverged(Artefact):
    """A run whose training diverged, as stored in ``diverged.json``.

    Attributes:
        learning_rate: the learning rate.
        problem: message of the error.
    """

    KIND: ClassVar[str] = "diverged"
    SCHEMA_VERSION: ClassVar[int] = 1

    learning_rate: float
    problem: str


class ChosenGrid(_Rates):
    """The grid from which the learning rate of a leaderboard row was chosen.

    Attributes:
        at_edge: whether the best rate is the lowest or highest of the grid, so that a better one may lie outside.
    """

    at_edge: bool


def folder_of(rate: float, settings: Mapping[str, Any] | None = None) -> str:
    """Return the name of the folder for a learning rate and other settings.

    Example:
        >>> folder_of(0.0005), folder_of(0.0005, {"rank": 8})
        ('lr-5e-04', 'rank-8-lr-5e-04')
    """
    mantissa, exponent = f"{rate:.6e}".split("e")
    named = {**(settings or {}), "lr": f"{mantissa.rstrip('0').rstrip('.')}e{exponent}"}
    return "-".join(f"{key.replace('_', '-')}-{_word(value)}" for key, value in named.items())


def _compared(adapter: Mapping[str, Any]) -> dict[str, Any]:
    """Return stored settings of an adapter in one form. The form of the balance term is stored only if it is not the default."""
    return {"balance_form": "centred"} | with_gate_sum(adapter)


def _numeric(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _word(value: object) -> str:
    text = {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)
    return re.sub(r"[^A-Za-z0-9.+-]+", "-", text)


def chosen_run(folder: Path) -> Path:
    """Return the best run in the folder of a learning-rate grid. Another folder stands for itself.

    Raises:
        CMEError: the grid is damaged, or has not chosen a rate yet.
    """
    return folder / str(_chosen(folder).best) if (folder / GRID).is_file() else folder


def chosen_rate(folder: Path) -> float:
    """Return the learning rate that a grid chose.

    Args:
        folder: the folder of the grid.

    Raises:
        CMEError: there is no grid, it is damaged, or it has not chosen a rate yet.
    """
    return _chosen(folder).learning_rate or 0.0


def chosen_settings(folder: Path) -> dict[str, Setting]:
    """Return the settings of the adapter that a grid chose beside the learning rate. None for a grid of rates only.

    Args:
        folder: the folder of the grid.

    Raises:
        CMEError: there is no grid, it is damaged, or it has not chosen a rate yet.
    """
    best = _chosen(folder).chosen
    return dict(best.settings or {}) if best else {}


def _chosen(folder: Path) -> Grid:
    grid = read_record(folder / GRID, Grid)
    if grid.best is None or grid.learning_rate is None:
        raise CMEError(
            f"{folder / GRID} has not chosen a learning rate yet. Run the same cme train --lr-grid again until it finishes."
        )
    return grid
