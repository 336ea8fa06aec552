"""Fits one layer of a given shape in a process of its own, and measures its memory and time."""

import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from cme.errors import CMEError
from cme.export.fit import state_bytes
from cme.machine import peak_memory

__all__ = ["Measured", "fit_once", "measure_shape"]

_BATCH = 2048
_STATUS, _REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Measured:
    """The cost of one layer.

    Attributes:
        inputs: number of inputs, d.
        columns: rank of all experts together, k·r.
        tokens: number of tokens.
        state: computed bytes of the sums.
        peak: measured increase of the peak memory, in bytes.
        sum_seconds: time of the sums.
        solve_seconds: time of the solution.
        loss: loss relative to that of ``mean``.
    """

    inputs: int
    columns: int
    tokens: int
    state: int
    peak: int
    sum_seconds: float
    solve_seconds: float
    loss: float


def measure_shape(inputs: int, outputs: int, experts: int, rank: int, tokens: int) -> Measured:
    """Measure one shape in a new process, because a process does not return all of its memory.

    Args:
        inputs: number of inputs, d.
        outputs: number of outputs, m.
        experts: number of experts, k.
        rank: rank of each expert, r.
        tokens: number of random tokens.

    Raises:
        CMEError: the process fails.
    """
    code = f"from benchmarks.export.run import fit_once; fit_once({inputs}, {outputs}, {experts}, {rank}, {tokens})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise CMEError(f"a layer of {inputs} inputs could not be fitted: {last}")
    return Measured(**json.loads(done.stdout))


def fit_once(inputs: int, outputs: int, experts: int, rank: int, tokens: int) -> None:
    """Fit a layer with random matrices to random tokens, and print a `Measured` as JSON. See `measure_shape`."""
    import torch

    from cme.export.fit import Sums, fitted_layer
    from cme.export.matrices import Matrices

    draw = torch.Generator().manual_seed(0)
    columns = experts * rank
    matrices = Matrices(
        torch.randn(columns, inputs, generator=draw).double() / inputs**0.5,
        torch.randn(outputs, columns, generator=draw).double(),
        experts,
        1.0,
    )
    router = torch.randn(inputs, experts, generator=draw) / inputs**0.5
    down = matrices.down.float()
    # The first product allocates work memory of the library, which belongs to no layer.
    torch.linalg.cholesky(torch.eye(64, dtype=torch.float64) @ torch.eye(64, dtype=torch.float64))
    if _REFS.exists():
        # The peak of the imports would hide that of a small layer.
        _REFS.write_text("5")
    before = _peak()
    sums, gates = Sums.zeros(inputs, columns), torch.zeros(experts, dtype=torch.float64)
    sum_seconds = 0.0
    for start in range(0, tokens, _BATCH):
        x = torch.randn(min(_BATCH, tokens - start), inputs, generator=draw)
        weights = torch.softmax(2 * x @ router, dim=-1)
        gates += weights.double().sum(0)
        z = ((x @ down.T).reshape(len(x), experts, rank) * weights[..., None]).reshape(len(x), columns)
        started = time.perf_counter()
        sums.add(x, z)
        sum_seconds += time.perf_counter() - started
    started = time.perf_counter()
    fitted = fitted_layer(sums, matrices, gates / tokens, rank=columns, ridge=1.0)
    measured = Measured(
        inputs=inputs,
        columns=columns,
        tokens=tokens,
        state=state_bytes(inputs, columns),
        peak=_peak() - before,
        sum_seconds=sum_seconds,
        solve_seconds=time.perf_counter() - started,
        loss=fitted.loss / fitted.mean_loss,
    )
    sys.stdout.write(json.dumps(asdict(measured)))


def _peak() -> int:
    """Return the peak of the resident memory in bytes. On Linux it counts from the last reset."""
    if not _STATUS.exists():
        return peak_memory()
    lines = _STATUS.read_text(encoding="utf-8").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
