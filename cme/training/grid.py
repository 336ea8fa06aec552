"""Grid search for the learning rate of a method, by the loss on the validation split of the mix.

For a fair comparison, all methods use the same grid and the same number of steps for every rate, and the rate is chosen on
data from which no score is computed. The record of the grid lists all rates and the best one.

A grid can also vary settings of the adapter, such as the rank. Every combination is then trained with every rate.

The folder of a grid has a run folder for each rate. The runs may also be trained by `cme.training.train` before, on several
machines for instance; `train_grid` then chooses the rate. More rates can be added to a grid later.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cme.adapters.read_settings import identity_of, settings_to_mapping
from cme.adapters.settings import AdapterSettings
from cme.errors import CMEError, DivergedError, UsageError
from cme.locks import locks_released
from cme.models.load import base_fingerprint, pick_dtype, resolve_base
from cme.processes import joined
from cme.records import AdapterRecord, Diverged, Grid, GridRun, Run, read_record, write_record
from cme.records.grid import DIVERGED, GRID, folder_of
from cme.training.cells import Tune, cells_of, check_cells
from cme.training.curve import median_norm
from cme.training.run import train
from cme.training.settings import OPTIONAL, TrainSettings, stored
from cme.workdir import FinishedError, claim, claimed, finish, is_finished, reopen

__all__ = ["GRID", "Grid", "GridRun", "folder_of", "train_grid"]

_COMMAND = "train --lr-grid"

_FREE = ("threads", "dtype", "data")
"""Training settings that runs of one grid may have in other words: ``auto`` stands for a dtype, and a folder has many paths.

The mix of a run is compared by its fingerprint, and its dtype with that of the other runs (`_Same`)."""


@locks_released()
def train_grid(
    settings: TrainSettings, adapter: AdapterSettings, rates: Sequence[float], *, out: Path, tune: Tune | None = None
) -> Grid:
    """Train once for each learning rate and choose the rate with the lowest validation loss.

    ``out`` contains a run folder for each rate, as `train` writes it, and ``lr-grid.json``. An interrupted grid is resumed by
    calling the function again with the same arguments, and extended with further rates or values. Runs that `train` has
    written into these folders with the same settings are read. Training that diverges is recorded as the result of a rate,
    which is then never the best one.

    Args:
        settings: The training settings. Their learning rate is ignored.
        adapter: The adapter's settings.
        rates: At least two different learning rates.
        out: The folder of the grid. It must be new, empty, a grid with the same arguments that is unfinished or has fewer
            rates or values, or have nothing but runs of these rates.
        tune: Values of settings of the adapter that are varied too, by name. All combinations are trained with all rates, and
            the run with the lowest validation loss of all is chosen. The factor alpha / rank stays the same.

    Returns:
        The grid, in every process.

    Raises:
        UsageError: There are fewer than two rates, a rate or value is invalid, or the mix has no validation split.
        CMEError: Training diverged at every rate, or `train` failed.
    """
    rates = _checked(rates)
    cells = list(cells_of(adapter, tune or {}))
    check_cells(cells)
    _check_validation(Path(settings.data).expanduser())
    from cme.training.loop import arguments

    runs = [_Cell(replace(settings, learning_rate=rate), own, chosen) for chosen, own in cells for rate in rates]
    # The runs share this group of processes, because a group cannot be joined again after a run has left it.
    with joined(start=False) as group:
        args = arguments(settings, out)
        same = group.first(lambda: _Same.of(settings, runs, out))
        group.first(lambda: _claimed(settings, adapter, rates, tune or {}, runs, out, args.world_size, same))
        done: list[GridRun] = []
        for run in runs:
            earlier = group.first(lambda run=run: _finished(run, out, same))  # type: ignore[misc]
            done.append(earlier or _one(run, out))
            grid = _grid(settings, adapter, done, out, len(done) == len(runs))
            group.first(lambda grid=grid: write_record(out / GRID, grid))  # type: ignore[misc]
        if grid.best is None:
            raise CMEError(
                f"training diverged at every rate of the grid ({', '.join(f'{rate:g}' for rate in rates)}). Use lower rates."
            )
        group.first(lambda: finish(out))
    return grid


@dataclass(frozen=True)
class _Cell:
    """One run of a grid.

    Attributes:
        settings: the training settings with the rate.
        adapter: the adapter's settings.
        chosen: the settings of the adapter that vary.
    """

    settings: TrainSettings
    adapter: AdapterSettings
    chosen: Mapping[str, Any]

    @property
    def rate(self) -> float:
        return self.settings.learning_rate

    @property
    def folder(self) -> str:
        return folder_of(self.rate, self.chosen)

    def result(self, **values: Any) -> GridRun:
        return GridRun(learning_rate=self.rate, folder=self.folder, settings=dict(self.chosen) or None, **values)


@dataclass(frozen=True)
class _Same:
    """What all runs of a grid must have in common beside their settings, because their losses are compared.

    Attributes:
        base: fingerprint of the base.
        mix: fingerprint of the mix.
        dtype: data type of the runs that exist, or of those that will be trained.
    """

    base: str
    mix: str
    dtype: str

    @classmethod
    def of(cls, settings: TrainSettings, runs: Sequence[_Cell], out: Path) -> "_Same":
        """Read what a grid needs, from its settings and from the first run that exists.

        Raises:
            UsageError: the settings name another dtype than that of the run, or ``auto`` stands for another one here, where
                other runs are still to be trained.
        """
        from cme.mix import read_manifest

        mix = read_manifest(Path(settings.data).expanduser()).fingerprint
        there = {run.folder: claimed(out / run.folder).get("dtype") for run in runs if _has_result(out / run.folder)}
        first = next((folder for folder, dtype in there.items() if dtype is not None), None)
        known = read_record(out / GRID, Grid).runs if (out / GRID).is_file() else ()
        complete = {run.folder for run in runs} <= {*there, *(run.folder for run in known)}
        here = pick_dtype(settings.dtype)
        dtype = here if first is None else str(there[first])
        if dtype != here and (settings.dtype != "auto" or not complete):
            word = f"{settings.dtype!r} is {here} on this machine" if settings.dtype == "auto" else f"--dtype is {here}"
            raise UsageError(
                f"{out / str(first)} has a run in {dtype}, but {word}, and runs of one grid need one dtype, because their losses "
                f"are compared. Give --dtype {dtype}, or choose another --out."
            )
        return cls(base_fingerprint(resolve_base(settings.base)), mix, dtype)


def _has_result(folder: Path) -> bool:
    return is_finished(folder) or (folder / DIVERGED).is_file()


def _checked(rates: Sequence[float]) -> list[float]:
    if bad := [rate for rate in rates if not 0 < rate < math.inf]:
        raise UsageError(f"{bad[0]:g} is not a valid learning rate. Use values above 0.")
    if len(set(rates)) < 2:
        raise UsageError(
            f"{', '.join(f'{rate:g}' for rate in rates) or 'an empty list'} is not a valid grid. Give at least two different "
            "learning rates, such as 2e-4,5e-4,1e-3."
        )
    if len({folder_of(rate) for rate in rates}) < len(rates):
        raise UsageError(
            f"the grid contains a learning rate twice: {', '.join(f'{rate:g}' for rate in sorted(rates))}. Give each rate "
            "once."
        )
    return sorted(rates)


def _check_validation(mix: Path) -> None:
    from cme.mix import read_manifest

    if not read_manifest(mix).validation_rows:
        raise UsageError(
            f"{mix} has no validation split, which is needed to choose a learning rate. "
            "Build the mix with: cme build-data --validation-share 0.01"
        )


def _claimed(
    settings: TrainSettings,
    adapter: AdapterSettings,
    rates: list[float],
    tune: Tune,
    runs: Sequence[_Cell],
    out: Path,
    world_size: int,
    same: _Same,
) -> None:
    extendable = {"lr_grid": rates} | ({"tune": {key: list(values) for key, values in tune.items()}} if tune else {})
    identity = {
        **{name: value for name, value in stored(settings).items() if name not in ("threads", "learning_rate")},
        **identity_of(adapter),
        "mix_fingerprint": same.mix,
        **extendable,
        "world_size": world_size,
    }
    there = claimed(out)
    # The folders of grids that earlier versions began lack the base. Their runs have it.
    identity |= {"base_fingerprint": same.base} if not there or "base_fingerprint" in there else {}
    before = {key: there[key] for key in extendable if key in there}
    added = before != extendable and len(before) == len(extendable) and _within(before, extendable)
    if added and is_finished(out):
        try:
            claim(out, _COMMAND, {**identity, **before})
        except FinishedError:
            reopen(out, _COMMAND)
    claim(out, _COMMAND, identity, changeable=list(extendable) if added else (), beside=[run.folder for run in runs])


def _within(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Return whether all rates and values of a grid are among those of another one that varies the same settings."""
    rates, tune, earlier = before["lr_grid"], now.get("tune", {}), before.get("tune", {})
    if not isinstance(rates, list) or not isinstance(earlier, dict) or earlier.keys() != tune.keys():
        return False
    return set(rates) <= set(now["lr_grid"]) and all(set(earlier[key]) <= set(tune[key]) for key in tune)


def _finished(run: _Cell, out: Path, same: _Same) -> GridRun | None:
    """Return the result that an earlier call recorded for a run, or None.

    Raises:
        UsageError: The folder has a run with other settings.
    """
    folder = out / run.folder
    if _has_result(folder):
        _check_same(folder, run.settings, run.adapter, same)
    if is_finished(folder):
        return _result(run, read_record(folder / "run.json", Run), folder)
    if (folder / DIVERGED).is_file():
        return _diverged(run, read_record(folder / DIVERGED, Diverged).problem)
    if (out / GRID).is_file():
        return next((item for item in read_record(out / GRID, Grid).runs if item.folder == run.folder), None)
    return None


def _one(run: _Cell, out: Path) -> GridRun:
    try:
        return _result(run, train(run.settings, run.adapter, out=out / run.folder), out / run.folder)
    except DivergedError as error:
        return _diverged(run, str(error))


def _check_same(folder: Path, settings: TrainSettings, adapter: AdapterSettings, same: _Same) -> None:
    """Refuse a run that was trained with other settings than the grid, or on another base, mix or dtype."""
    expected: dict[str, Any] = dict.fromkeys(OPTIONAL)
    expected |= {name: value for name, value in stored(settings).items() if name not in _FREE}
    expected |= identity_of(adapter)
    expected |= {"mix_fingerprint": same.mix, "base_fingerprint": same.base, "dtype": same.dtype}
    there = claimed(folder)
    wrong = [key for key in expected if (key in there or key in OPTIONAL) and there.get(key) != expected[key]]
    if wrong:
        differences = ", ".join(f"{key}: {there.get(key)!r} there, {expected[key]!r} now" for key in wrong[:4])
        raise UsageError(f"{folder} has a run with other settings ({differences}). Choose another --out, or remove it.")


def _diverged(run: _Cell, problem: str) -> GridRun:
    return run.result(validation_loss=None, last_loss=None, problem=problem)


def _result(run: _Cell, record: Run, folder: Path) -> GridRun:
    last = record.losses[-1][1] if record.losses else None
    norm = median_norm(folder)
    return run.result(validation_loss=record.validation_loss, last_loss=last, problem=None, grad_norm=norm)


def _grid(settings: TrainSettings, adapter: AdapterSettings, done: list[GridRun], out: Path, complete: bool) -> Grid:
    ended = [run for run in done if run.validation_loss is not None]
    best = min(ended, key=lambda run: run.validation_loss or 0.0) if complete and ended else None
    first = read_record(out / ended[0].folder / "run.json", Run) if ended else None
    return Grid(
        method=first.method if first else adapter.method,
        steps=first.steps if first else 0,
        runs=tuple(done),
        best=best.folder if best else None,
        learning_rate=best.learning_rate if best else None,
        seed=settings.seed,
        base_fingerprint=first.base_fingerprint if first else None,
        mix_fingerprint=first.mix_fingerprint if first else None,
        dtype=first.dtype if first else None,
        adapter=AdapterRecord(**settings_to_mapping(adapter)),
    )
