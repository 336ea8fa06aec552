"""The record of a measurement: the costs of all cases, the times of all rounds, and the environment."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cme.bench.adapters.cases import Case
from cme.bench.adapters.ratios import Quartiles, Ratio
from cme.bench.adapters.reported import Beside
from cme.bench.adapters.settings import BenchSettings
from cme.machine import processor_name

__all__ = ["AdapterReport", "CaseCost", "ModeCost", "Surroundings", "describe", "surroundings"]

_KIND, _SCHEMA_VERSION = "adapter-costs", 1


@dataclass(frozen=True)
class ModeCost:
    """The costs of one case in one mode. A unit is a training step, a prefill, or a decoded token of all rows.

    Attributes:
        mode: One of `MODES`.
        seconds: Quartiles of the time per unit, in seconds.
        rounds: Time per unit in each round, in seconds. The n-th values of all cases were measured in the same round.
        tokens_per_second: Tokens per second at the median time.
        samples_per_second: Rows per second at the median time, or None for decode.
        flops: Floating-point operations per unit, or None if they could not be counted.
        peak_bytes: Peak memory in bytes (see `cme.bench.adapters.memory`).
    """

    mode: str
    seconds: Quartiles
    rounds: tuple[float, ...]
    tokens_per_second: float
    samples_per_second: float | None
    flops: int | None
    peak_bytes: int


@dataclass(frozen=True)
class CaseCost:
    """One case with its trained parameters and costs.

    Attributes:
        name: Name of the case.
        method: Method of the case.
        form: Form of the case.
        experts: Number of experts k, or None.
        rank: Rank of the adapter or of one expert, or None.
        trainable: Number of trained parameters.
        trainable_percent: Trained parameters in percent of the base's parameters.
        modes: Costs by mode.
    """

    name: str
    method: str
    form: str
    experts: int | None
    rank: int | None
    trainable: int
    trainable_percent: float
    modes: tuple[ModeCost, ...]


@dataclass(frozen=True)
class Surroundings:
    """The environment of a measurement.

    Attributes:
        base: Name or folder of the base.
        weights: ``loaded`` or ``random``.
        base_parameters: Number of parameters of the base. Tied parameters count once.
        dtype: Dtype of the base's weights. Adapters are in float32, as in training.
        device: ``cpu`` or ``cuda``.
        hardware: Name of the processor or the GPU.
        device_bytes: Memory of the GPU in bytes, or None on a CPU.
        cpus: Number of CPUs of the machine.
        threads: Number of threads that PyTorch uses.
        attention: The base's attention implementation in the measurements of time and memory.
        versions: Versions of CME, Python and libraries.
        command: The command line.
    """

    base: str
    weights: str
    base_parameters: int
    dtype: str
    device: str
    hardware: str
    device_bytes: int | None
    cpus: int
    threads: int
    attention: str
    versions: dict[str, str]
    command: tuple[str, ...]


@dataclass(frozen=True)
class AdapterReport:
    """A complete measurement.

    Attributes:
        settings: The benchmark settings.
        surroundings: The environment of the measurement.
        cases: The cases with their costs.
        ratios: Times divided by that of LoRA at equal total rank, and by that of the base.
        reported: Reported ratios with the same ratios as measured here.
    """

    settings: BenchSettings
    surroundings: Surroundings
    cases: tuple[CaseCost, ...]
    ratios: tuple[Ratio, ...]
    reported: tuple[Beside, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON values."""
        return {"kind": _KIND, "schema_version": _SCHEMA_VERSION, **asdict(self)}

    def ratio(self, mode: str, case: str, reference: str) -> Ratio | None:
        """Return the ratio of the times of two cases, or None if it was not computed."""
        for ratio in self.ratios:
            if (ratio.mode, ratio.case, ratio.reference) == (mode, case, reference):
                return ratio
        return None


def surroundings(model: Any, *, weights: str, command: Sequence[str]) -> Surroundings:
    """Describe the machine and the libraries."""
    import torch

    from cme.records import versions

    weight = next(model.parameters())
    gpu = torch.cuda.get_device_properties(weight.device) if weight.device.type == "cuda" else None
    cuda = {"cuda": str(torch.version.cuda)} if gpu else {}
    return Surroundings(
        base=str(getattr(model, "name_or_path", "") or type(model).__name__),
        weights=weights,
        base_parameters=sum(parameter.numel() for parameter in model.parameters()),
        dtype=str(weight.dtype).removeprefix("torch."),
        device=weight.device.type,
        hardware=gpu.name if gpu else processor_name(),
        device_bytes=gpu.total_memory if gpu else None,
        cpus=os.cpu_count() or 1,
        threads=torch.get_num_threads(),
        attention=str(model.config._attn_implementation),
        versions=versions() | cuda,
        command=tuple(command),
    )


def describe(case: Case, trained: int, base: int, modes: Sequence[ModeCost]) -> CaseCost:
    """Combine a case with its costs."""
    return CaseCost(
        name=case.name,
        method=case.method,
        form=case.form,
        experts=case.experts,
        rank=case.rank,
        trainable=trained,
        trainable_percent=100 * trained / base,
        modes=tuple(modes),
    )
