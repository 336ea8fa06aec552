"""Measurement of the time and memory of a run across interruptions."""

import time
from datetime import UTC, datetime
from typing import Any

from cme.machine import peak_memory
from cme.training.checkpoints import Spent

__all__ = ["Meter", "now"]


def now() -> str:
    """Return the current UTC time in ISO 8601, in whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class Meter:
    """Measure the cost of a run, starting from its cost before the last interruption.

    Args:
        before: The cost stored in the checkpoint from which the run is resumed, or None for a new run.
        device: The `torch.device` of the training.
    """

    def __init__(self, before: Spent | None, device: Any) -> None:
        self._before = before or Spent(0, 0.0, 0, -1, now())
        self._device = device
        self._begin: float | None = None

    def start(self) -> None:
        """Start the clock when the training loop begins."""
        self._begin = time.perf_counter()

    def spent(self, step: int) -> Spent:
        """Return the cost of the run up to a step."""
        running = 0.0 if self._begin is None else time.perf_counter() - self._begin
        return Spent(
            step=step,
            wall_seconds=self._before.wall_seconds + running,
            peak_memory_bytes=max(self._before.peak_memory_bytes, self._peak()),
            interruptions=self._before.interruptions + 1,
            started=self._before.started,
        )

    def _peak(self) -> int:
        """Return the peak memory of the GPU, or the peak resident memory of this process on a CPU, in bytes."""
        if self._device.type == "cuda":
            import torch

            return int(torch.cuda.max_memory_allocated(self._device))
        return peak_memory()
