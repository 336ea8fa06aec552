"""The pool of a Ray cluster. It is imported only for ``--engine ray``.

A step is a Ray task, so Ray finds a node with free CPUs and GPUs, and runs the task again if its worker or its node is lost.
Nothing passes through Ray but the command and its exit code: all nodes share the folders of the board. Ray listens on all
network interfaces, so its token is kept from other users.
"""

import os
import socket
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cme.board.command import InterruptedStepError, Outcome, StepCommand, work_on
from cme.board.step import Step
from cme.env import ray_address
from cme.errors import CMEError, UsageError
from cme.extras import need

__all__ = ["RayPool", "load_ray"]

_RETRIES = 5
_POLL = 0.5
_PATIENCE = 10.0
"""Seconds for the connection to a cluster."""
_TOKEN = Path("~/.ray/auth_token")
_PASSED = ("CME_", "HF_", "PYTHONPATH", "OMP_", "XDG_CACHE_HOME")
"""Beginnings of the names of the environment variables that commands on other nodes get."""


def load_ray() -> Any:
    """Import Ray, without usage statistics and with its token if there is one.

    Ray reads these settings when it is imported. A cluster that was started where a token exists demands it, but a program that
    connects to the cluster sends it only in this mode.

    Raises:
        MissingExtraError: Ray is not installed.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if _TOKEN.expanduser().is_file():
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    return need("ray", extra="boards", for_="--engine ray")


class RayPool:
    """Runs commands as tasks of a Ray cluster.

    Args:
        address: address of the cluster. None means that of ``RAY_ADDRESS``, or a new one on this machine.
        jobs: most commands at a time. None means as many as the cluster has room for.

    Raises:
        MissingExtraError: Ray is not installed.
        CMEError: the cluster cannot be reached.
    """

    def __init__(self, address: str | None, jobs: int | None) -> None:
        self._ray: Any = load_ray()
        self._jobs = jobs
        self._running: dict[Any, str] = {}
        address = address or ray_address()
        if address:
            _check_address(address)
        options: dict[str, Any] = {"address": address} if address else {"include_dashboard": False}
        before = os.umask(0o077)
        try:
            self._ray.init(log_to_driver=False, logging_level="WARNING", **options)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            raise CMEError(f"the Ray cluster {address or 'on this machine'} cannot be reached: {error}") from error
        finally:
            os.umask(before)
        _protect_token()
        self._work = self._ray.remote(max_retries=_RETRIES, retry_exceptions=[InterruptedStepError])(work_on)
        self._gpus = int(self._ray.cluster_resources().get("GPU", 0))

    def check(self, steps: Iterable[Step]) -> None:
        """Refuse steps that need more than any node has."""
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        for step in steps:
            cpus, gpus = step.cpus, self._count(step)
            if not any(node.get("CPU", 0) >= cpus and node.get("GPU", 0) >= gpus for node in nodes):
                raise UsageError(
                    f"{step.name} needs {cpus} CPUs and {gpus} GPUs, but no node of the Ray cluster has them. Add a node, or "
                    "lower threads or gpus."
                )

    def fits(self, step: Step) -> bool:
        """Return whether a step may be given to the cluster, which starts it when a node has room."""
        return self._jobs is None or len(self._running) < self._jobs

    def start(self, step: Step, command: StepCommand) -> None:
        """Start a step."""
        gpus = self._count(step)
        passed = {name: value for name, value in os.environ.items() if name.startswith(_PASSED)}
        # Without GPUs of its own, a command must not take one that Ray gave to another.
        hidden = {} if gpus else {"CUDA_VISIBLE_DEVICES": ""}
        ready = StepCommand(**{**vars(command), "env": {**passed, **command.env, **hidden}, "processes": max(1, gpus)})
        options = {"num_cpus": step.cpus, "num_gpus": gpus, "scheduling_strategy": "SPREAD", "name": step.name}
        self._running[self._work.options(**options).remote(ready)] = step.name

    def running(self) -> list[str]:
        """Return the names of the steps that were given to the cluster."""
        return list(self._running.values())

    def wait(self) -> list[Outcome]:
        """Return how steps ended since the last call, after a short while at most."""
        if not self._running:
            return []
        ended, _ = self._ray.wait(list(self._running), num_returns=1, timeout=_POLL)
        return [self._outcome(task) for task in ended]

    def stop(self) -> None:
        """Interrupt all running steps, and leave the cluster."""
        for task in self._running:
            self._ray.cancel(task, force=False)
        if self._running:
            self._ray.wait(list(self._running), num_returns=len(self._running), timeout=30)
        self._running.clear()
        self._ray.shutdown()

    def _outcome(self, task: Any) -> Outcome:
        name = self._running.pop(task)
        try:
            outcome: Outcome = self._ray.get(task)
        except self._ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None) or error
            return Outcome(name, 1, 0.0, f"Ray could not run it: {str(cause).strip().splitlines()[0]}")
        return outcome

    def _count(self, step: Step) -> int:
        return min(1, self._gpus) if step.gpus is None else step.gpus


def _check_address(address: str) -> None:
    """Refuse an address at which nothing answers. Ray itself would try for minutes.

    Raises:
        CMEError: nothing answers.
    """
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if not colon or not port.isdigit():
        return  # a name such as auto
    try:
        socket.create_connection((host, int(port)), timeout=_PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise CMEError(
            f"the Ray cluster {address} cannot be reached: {error}. Start it with 'ray start --head', or correct the address."
        ) from error


def _protect_token() -> None:
    """Make the token of the cluster readable by its owner only. Ray writes it for everybody."""
    token = _TOKEN.expanduser()
    if token.is_file() and stat.S_IMODE(token.stat().st_mode) != 0o600:
        token.chmod(0o600)
