"""A measurement of adapters as a record: every figure, the times behind it, and what it ran on."""

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
    """What one case costs in one mode.

    Attributes:
        mode: of `MODES`.
        seconds: median and quartiles; per training step, per prefill, per decoded token (of all rows).
        rounds: the same of each round, in order: the cases' n-th values were measured in one round.
        tokens_per_second: at the median.
        samples_per_second: rows at the median; None for decode.
        flops: of a step, a prefill, a decoded token of all rows; None if they could not be counted.
        peak_bytes: see `cme.bench.adapters.memory`.
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
    """One case: what it is, what it trains, what it costs.

    Attributes:
        name: the case's.
        method: its method.
        form: its form.
        experts: k.
        rank: of the adapter or of one expert.
        trainable: parameters that are trained.
        trainable_percent: of the base's parameters.
        modes: its costs.
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
    """What a measurement ran on.

    Attributes:
        base: name or folder.
        weights: ``loaded`` or ``random``.
        base_parameters: tied ones once.
        dtype: of the base's weights; adapters are float32, as they are trained.
        device: ``cpu`` or ``cuda``.
        hardware: the processor or the GPU.
        device_bytes: memory of the GPU; None on a CPU.
        cpus: of the machine.
        threads: that PyTorch uses.
        attention: the base's implementation of attention, in times and memory.
        versions: of CME, Python and libraries.
        command: as typed.
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
    """A whole measurement.

    Attributes:
        settings: what was measured.
        surroundings: on what.
        cases: the costs.
        ratios: time over LoRA's at equal total rank and over the base's.
        reported: other people's figures beside the same ratios measured here.
    """

    settings: BenchSettings
    surroundings: Surroundings
    cases: tuple[CaseCost, ...]
    ratios: tuple[Ratio, ...]
    reported: tuple[Beside, ...]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"kind": _KIND, "schema_version": _SCHEMA_VERSION, **asdict(self)}

    def ratio(self, mode: str, case: str, reference: str) -> Ratio | None:
        """The ratio of two cases' times, if it was taken."""
        for found in self.ratios:
            if (found.mode, found.case, found.reference) == (mode, case, reference):
                return found
        return None


def surroundings(model: Any, *, weights: str, command: Sequence[str]) -> Surroundings:
    """What the model's machine and libraries are."""
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
    """A case with its costs."""
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
