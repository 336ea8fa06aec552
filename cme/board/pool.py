"""Where commands run: the interface of an engine's pool, and the pool of this machine."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from cme.board.command import Job, Outcome, StepCommand
from cme.board.step import Step
from cme.env import visible_devices
from cme.errors import UsageError
from cme.machine import usable_processors

__all__ = ["LocalPool", "Pool", "visible_gpus"]

_POLL = 0.1


class Pool(Protocol):
    """Runs commands of steps."""

    def fits(self, step: Step) -> bool:
        """Return whether a step can start now."""
        ...

    def start(self, step: Step, command: StepCommand) -> None:
        """Start a step."""
        ...

    def running(self) -> list[str]:
        """Return the names of the running steps."""
        ...

    def wait(self) -> list[Outcome]:
        """Return how steps ended since the last call, after a short while at most."""
        ...

    def stop(self) -> None:
        """Interrupt all running steps and wait until they have ended."""
        ...

    def check(self, steps: Iterable[Step]) -> None:
        """Refuse steps that can never start.

        Raises:
            UsageError: a step needs more than there is.
        """
        ...


def visible_gpus() -> list[str]:
    """Return the ids of the GPUs that this process may use, without importing torch."""
    if (chosen := visible_devices()) is not None:
        return chosen
    cards = Path("/dev").glob("nvidia[0-9]*")
    return sorted((card.name.removeprefix("nvidia") for card in cards), key=int)


class LocalPool:
    """Runs commands as subprocesses of this process. They die with it.

    Args:
        jobs: most commands at a time. None means one per GPU, or as many as the cores allow.
        threads: CPU threads of one command.
        gpus: ids of the GPUs.
    """

    def __init__(self, jobs: int | None, threads: int, gpus: list[str]) -> None:
        self._jobs = jobs or len(gpus) or max(1, usable_processors() // threads)
        self._gpus, self._free = gpus, list(gpus)
        self._running: dict[str, tuple[Job, list[str]]] = {}

    def check(self, steps: Iterable[Step]) -> None:
        """Refuse steps that need more GPUs than there are."""
        for step in steps:
            if self._count(step) > len(self._gpus):
                raise UsageError(
                    f"{step.name} needs {step.gpus} GPUs, but this machine has {len(self._gpus)}. Set device: cpu, or fewer "
                    "gpus, or use --engine ray."
                )

    def fits(self, step: Step) -> bool:
        """Return whether a step can start now."""
        return len(self._running) < self._jobs and self._count(step) <= len(self._free)

    def start(self, step: Step, command: StepCommand) -> None:
        """Start a step."""
        taken = [self._free.pop(0) for _ in range(self._count(step))]
        env = {**command.env, "CUDA_VISIBLE_DEVICES": ",".join(taken)}
        ready = StepCommand(**{**vars(command), "env": env, "processes": max(1, len(taken))})
        try:
            self._running[step.name] = (Job(ready), taken)
        except BaseException:
            self._free += taken
            raise

    def running(self) -> list[str]:
        """Return the names of the running steps."""
        return list(self._running)

    def wait(self) -> list[Outcome]:
        """Return how steps ended since the last call, after a short while at most."""
        ended = self._collect()
        if not ended:
            time.sleep(_POLL)
            ended = self._collect()
        return ended

    def stop(self) -> None:
        """Interrupt all running steps and wait until they have ended."""
        for job, _ in self._running.values():
            job.interrupt()
        for job, _ in self._running.values():
            job.close()
        self._running.clear()
        self._free = list(self._gpus)

    def _collect(self) -> list[Outcome]:
        ended = []
        for name, (job, taken) in list(self._running.items()):
            if (outcome := job.ended()) is not None:
                del self._running[name]
                self._free += taken
                ended.append(outcome)
        return ended

    def _count(self, step: Step) -> int:
        return min(1, len(self._gpus)) if step.gpus is None else step.gpus
