"""The complete measurement: a mix, then all sides in turns, each in a process of its own."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.training.settings import CME, TrainBenchSettings
from benchmarks.training.side import Training
from cme.bench.adapters.ratios import Ratio, ratio_of
from cme.errors import CMEError, MissingExtraError
from cme.machine import processor_name
from cme.progress import bar

__all__ = ["TrainReport", "measure_training"]

LEARNING_RATE = 2e-4


@dataclass(frozen=True)
class TrainReport:
    """A complete measurement.

    Attributes:
        settings: the settings.
        trainings: the trainings, by side, in the order of the rounds.
        ratios: for each side but CME, its time per token divided by that of CME, computed within the rounds.
        hardware: name of the processor or the GPU.
        cpus: number of CPUs of the machine.
        versions: versions of CME, Python and the libraries.
        command: the command line.
    """

    settings: TrainBenchSettings
    trainings: dict[str, tuple[Training, ...]]
    ratios: tuple[Ratio, ...]
    hardware: str
    cpus: int
    versions: dict[str, str]
    command: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON values."""
        return {"kind": "training-costs", "schema_version": 1, **asdict(self)}


def measure_training(settings: TrainBenchSettings, *, command: Sequence[str] = ()) -> TrainReport:
    """Train every side once per round on the same rows.

    Args:
        settings: the settings of the measurement.
        command: the command line, for the record.

    Raises:
        MissingExtraError: TRL is not installed.
        CMEError: a training failed.
    """
    import cme
    from cme.records import versions

    library = _trl_version()
    trainings: dict[str, list[Training]] = {side: [] for side in settings.sides}
    with (
        tempfile.TemporaryDirectory(prefix="cme-training-") as work,
        bar("Trainings", total=settings.rounds * len(settings.sides)) as shown,
    ):
        rows = settings.steps * settings.batch_size
        mix = cme.build_mix(Path(work) / "mix", source=settings.source, size=rows, validation_share=0, workers=1)
        for number in range(settings.rounds):
            order = settings.sides if number % 2 == 0 else settings.sides[::-1]
            for side in order:
                shown.describe(f"Trainings: {side}")
                trainings[side].append(_one(settings, side, mix.folder, Path(work) / f"{side}-{number}"))
                shown.advance()
    costs = {side: [one.seconds / one.tokens for one in of] for side, of in trainings.items()}
    return TrainReport(
        settings=settings,
        trainings={side: tuple(of) for side, of in trainings.items()},
        ratios=tuple(ratio_of("train", side, CME, costs[side], costs[CME]) for side in settings.sides if side != CME)
        if settings.rounds > 1
        else (),
        hardware=_hardware(),
        cpus=os.cpu_count() or 1,
        versions=versions() | {"trl": library},
        command=tuple(command),
    )


def _trl_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("trl")
    except PackageNotFoundError:
        raise MissingExtraError(
            "TRL is not installed. This benchmark needs it: pip install -c constraints.txt trl"
        ) from None


def _hardware() -> str:
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else processor_name()


def _one(settings: TrainBenchSettings, side: str, mix: Path, out: Path) -> Training:
    job = asdict(settings) | {"side": side, "mix": str(mix), "out": str(out), "learning_rate": LEARNING_RATE}
    environment = os.environ | {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    if settings.threads:
        environment["OMP_NUM_THREADS"] = str(settings.threads)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.training.side", json.dumps(job)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    if done.returncode:
        raise CMEError(f"the training of {side} failed:\n{done.stderr.strip()[-2000:]}")
    values = json.loads(done.stdout)
    return Training(**values | {"losses": tuple(values["losses"])})
