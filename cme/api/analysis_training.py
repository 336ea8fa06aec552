"""Measures the load of the experts at the kept checkpoints of a run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cme.adapters.load import adapter_fingerprint
from cme.analysis.measure_load import measure_load
from cme.analysis.rows import LoadRow
from cme.analysis.training_load import training_step
from cme.errors import CMEError, UsageError
from cme.evaluation.adapters import AdapterSwitcher
from cme.files import digest, read_json, write_json
from cme.progress import bar
from cme.records.analysis import TrainingLoad, TrainingStep
from cme.suite import DatasetSpec
from cme.training.checkpoints import FOLDER, complete
from cme.training.mix_rows import own_run

__all__ = ["Checkpoint", "checkpoints_of", "training_load"]


@dataclass(frozen=True)
class Checkpoint:
    """The adapter after some steps of the training.

    Attributes:
        step: number of optimiser steps.
        folder: folder of the adapter.
        fingerprint: fingerprint of the adapter.
    """

    step: int
    folder: Path
    fingerprint: str


def checkpoints_of(adapter: Path) -> list[Checkpoint]:
    """Return the kept checkpoints of a run in the order of their steps, and the trained adapter as the last one.

    Raises:
        UsageError: the run has no complete checkpoints.
    """
    kept = {step: folder for folder, step in complete(adapter / FOLDER)}
    if not kept:
        raise UsageError(
            f"{adapter} has no complete checkpoints in {FOLDER}/, so its load during the training is unknown. Train it with "
            "--keep-checkpoints, or leave out the part training."
        )
    run = own_run(adapter)
    if run is not None:
        kept[run.steps] = adapter
    return [Checkpoint(step, kept[step], adapter_fingerprint(kept[step])) for step in sorted(kept)]


def training_load(
    switcher: AdapterSwitcher,
    checkpoints: Sequence[Checkpoint],
    rows: Sequence[tuple[DatasetSpec, Sequence[LoadRow]]],
    folder: Path,
    *,
    pad: int,
    key: str,
    title: str,
) -> TrainingLoad:
    """Measure the load at every checkpoint on the same rows. Finished checkpoints are not measured again.

    Args:
        switcher: attaches adapters to the base.
        checkpoints: the checkpoints.
        rows: the datasets with their rows.
        folder: folder of the finished checkpoints.
        pad: token id of the padding.
        key: digest of everything that determines the load, except for the adapter.
        title: title of the progress bar.
    """
    steps, count = [], sum(len(chosen) for _, chosen in rows)
    with bar(title, total=len(checkpoints) * count) as shown:
        for item in checkpoints:
            file, own = folder / f"step-{item.step}.json", digest([key, item.fingerprint])
            step = _read(file, own)
            if step is None:
                model = switcher.attach(item.folder)
                measured = [measure_load(model, spec, chosen, pad, _Part(shown)) for spec, chosen in rows]
                step = training_step(item.step, measured)
                write_json(file, {"key": own, "step": step.plain()})
            else:
                shown.advance(count)
            steps.append(step)
    return TrainingLoad(
        rows=count,
        tokens=sum(row.context for _, chosen in rows for row in chosen),
        steps=tuple(steps),
    )


class _Part:
    """A part of a bar, which does not change the total."""

    def __init__(self, whole: Any) -> None:
        self._whole, self.shown = whole, whole.shown

    def advance(self, steps: float = 1) -> None:
        self._whole.advance(steps)

    def describe(self, text: str) -> None:
        self._whole.describe(text)

    def expect(self, total: float) -> None:
        return


def _read(file: Path, key: str) -> TrainingStep | None:
    try:
        stored = read_json(file)
        return TrainingStep(**stored["step"]) if stored["key"] == key else None
    except (CMEError, KeyError, TypeError):
        return None
