"""Time and memory of a run, summed over its interruptions."""

import time
from datetime import UTC, datetime
from typing import Any

from cme.machine import peak_memory
from cme.training.checkpoints import Spent

__all__ = ["Meter", "now"]


def now() -> str:
    """UTC time, ISO 8601, whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class Meter:
    """Counts on from what earlier runs of the same work have spent.

    Args:
        before: as the checkpoint says from which the run is continued; None for a new run.
        device: where training happens (`torch.device`).
    """

    def __init__(self, before: Spent | None, device: Any) -> None:
        self._before = before or Spent(0, 0.0, 0, -1, now())
        self._device = device
        self._begin: float | None = None

    def start(self) -> None:
        """Start the clock: the training loop begins."""
        self._begin = time.perf_counter()

    def spent(self, step: int) -> Spent:
        """What the run has spent up to a step."""
        running = 0.0 if self._begin is None else time.perf_counter() - self._begin
        return Spent(
            step=step,
            wall_seconds=self._before.wall_seconds + running,
            peak_memory_bytes=max(self._before.peak_memory_bytes, self._peak()),
            interruptions=self._before.interruptions + 1,
            started=self._before.started,
        )

    def _peak(self) -> int:
        """Most memory in use at once: of the GPU, else of this process (resident)."""
        if self._device.type == "cuda":
            import torch

            return int(torch.cuda.max_memory_allocated(self._device))
        return peak_memory()
