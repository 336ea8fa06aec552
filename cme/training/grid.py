"""Grid search for the learning rate of a method, by the loss on the validation split of the mix.

For a fair comparison, all methods use the same grid and the same number of steps for every rate, and the rate is chosen on
data from which no score is computed. The record of the grid lists all rates and the best one.

The folder of a grid has a run folder for each rate. The runs may also be trained by `cme.training.train` before, on several
machines for instance; `train_grid` then chooses the rate. More rates can be added to a grid later.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cme.adapters.read_settings import identity_of
from cme.adapters.settings import AdapterSettings
from cme.errors import CMEError, DivergedError, UsageError
from cme.locks import locks_released
from cme.processes import joined
from cme.records import Diverged, Grid, GridRun, Run, read_record, write_record
from cme.records.grid import DIVERGED, GRID, folder_of
from cme.training.run import train
from cme.training.settings import TrainSettings, stored
from cme.workdir import FinishedError, claim, claimed, finish, is_finished, reopen

__all__ = ["GRID", "Grid", "GridRun", "folder_of", "train_grid"]

_COMMAND = "train --lr-grid"

_FREE = ("threads", "dtype", "data")
"""Training settings that runs of one grid may have in other words: ``auto`` stands for a dtype, and a folder has many paths."""


@locks_released()
def train_grid(settings: TrainSettings, adapter: AdapterSettings, rates: Sequence[float], *, out: Path) -> Grid:
    """Train once for each learning rate and choose the rate with the lowest validation loss.

    ``out`` contains a run folder for each rate, as `train` writes it, and ``lr-grid.json``. An interrupted grid is resumed by
    calling the function again with the same arguments, and extended with further rates. Runs that `train` has written into
    these folders with the same settings are read. Training that diverges is recorded as the result of a rate, which is then
    never the best one.

    Args:
        settings: The training settings. Their learning rate is ignored.
        adapter: The adapter's settings.
        rates: At least two different learning rates.
        out: The folder of the grid. It must be new, empty, a grid with the same arguments that is unfinished or has fewer
            rates, or have nothing but runs of these rates.

    Returns:
        The grid, in every process.

    Raises:
        UsageError: There are fewer than two rates, a rate is invalid, or the mix has no validation split.
        CMEError: Training diverged at every rate, or `train` failed.
    """
    rates = _checked(rates)
    _check_validation(Path(settings.data).expanduser())
    from cme.training.loop import arguments

    # The runs share this group of processes, because a group cannot be joined again after a run has left it.
    with joined(start=False) as group:
        args = arguments(settings, out)
        group.first(lambda: _claimed(settings, adapter, rates, out, args.world_size))
        done: list[GridRun] = []
        for rate in rates:
            own = replace(settings, learning_rate=rate)
            earlier = group.first(lambda own=own: _finished(own, adapter, out))  # type: ignore[misc]
            done.append(earlier or _one(own, adapter, out))
            grid = _grid(adapter, done, out, len(done) == len(rates))
            group.first(lambda grid=grid: write_record(out / GRID, grid))  # type: ignore[misc]
        if grid.best is None:
            raise CMEError(
                f"training diverged at every rate of the grid ({', '.join(f'{rate:g}' for rate in rates)}). Use lower rates."
            )
        group.first(lambda: finish(out))
    return grid


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


def _claimed(settings: TrainSettings, adapter: AdapterSettings, rates: list[float], out: Path, world_size: int) -> None:
    from cme.mix import read_manifest

    mix = Path(settings.data).expanduser()
    identity = {
        **{name: value for name, value in stored(settings).items() if name not in ("threads", "learning_rate")},
        **identity_of(adapter),
        "mix_fingerprint": read_manifest(mix).fingerprint,
        "lr_grid": rates,
        "world_size": world_size,
    }
    before = claimed(out).get("lr_grid")
    added = isinstance(before, list) and set(before) < set(rates)
    if added and is_finished(out):
        try:
            claim(out, _COMMAND, {**identity, "lr_grid": before})
        except FinishedError:
            reopen(out, _COMMAND)
    claim(out, _COMMAND, identity, changeable=["lr_grid"] if added else (), beside=[folder_of(rate) for rate in rates])


def _finished(settings: TrainSettings, adapter: AdapterSettings, out: Path) -> GridRun | None:
    """Return the result that an earlier call recorded for a learning rate, or None.

    Raises:
        UsageError: The folder has a run with other settings.
    """
    rate = settings.learning_rate
    folder = out / folder_of(rate)
    if is_finished(folder) or (folder / DIVERGED).is_file():
        _check_same(folder, settings, adapter)
    if is_finished(folder):
        return _result(rate, read_record(folder / "run.json", Run))
    if (folder / DIVERGED).is_file():
        return _diverged(rate, read_record(folder / DIVERGED, Diverged).problem)
    if (out / GRID).is_file():
        return next((run for run in read_record(out / GRID, Grid).runs if run.learning_rate == rate), None)
    return None


def _one(settings: TrainSettings, adapter: AdapterSettings, out: Path) -> GridRun:
    rate = settings.learning_rate
    try:
        return _result(rate, train(settings, adapter, out=out / folder_of(rate)))
    except DivergedError as error:
        return _diverged(rate, str(error))


def _check_same(folder: Path, settings: TrainSettings, adapter: AdapterSettings) -> None:
    """Refuse a run that was trained with other settings than the grid."""
    from cme.mix import read_manifest

    expected = {name: value for name, value in stored(settings).items() if name not in _FREE}
    expected |= identity_of(adapter) | {"mix_fingerprint": read_manifest(Path(settings.data).expanduser()).fingerprint}
    there = claimed(folder)
    wrong = [key for key in expected if key in there and there[key] != expected[key]]
    if wrong:
        differences = ", ".join(f"{key}: {there[key]!r} there, {expected[key]!r} now" for key in wrong[:4])
        raise UsageError(f"{folder} has a run with other settings ({differences}). Choose another --out, or remove it.")


def _diverged(rate: float, problem: str) -> GridRun:
    return GridRun(learning_rate=rate, folder=folder_of(rate), validation_loss=None, last_loss=None, problem=problem)


def _result(rate: float, run: Run) -> GridRun:
    return GridRun(
        learning_rate=rate,
        folder=folder_of(rate),
        validation_loss=run.validation_loss,
        last_loss=run.losses[-1][1] if run.losses else None,
        problem=None,
    )


def _grid(adapter: AdapterSettings, done: list[GridRun], out: Path, complete: bool) -> Grid:
    ended = [run for run in done if run.validation_loss is not None]
    best = min(ended, key=lambda run: run.validation_loss or 0.0) if complete and ended else None
    first = read_record(out / ended[0].folder / "run.json", Run) if ended else None
    return Grid(
        method=first.method if first else adapter.method,
        steps=first.steps if first else 0,
        runs=tuple(done),
        best=best.folder if best else None,
        learning_rate=best.learning_rate if best else None,
    )
