"""Runs real boards with one-thread trainings and measures the driver, the plan, and one Ray node against two."""

import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from cme.board.board import Board, read_board
from cme.board.plan import make_plan
from cme.board.pool import LocalPool
from cme.board.run import run_board
from cme.board.state import STEPS, survey
from cme.board.step import Step

__all__ = ["Overhead", "Scaling", "Survey", "measure_overhead", "measure_scaling", "measure_survey", "write_board"]

_BOARD = """
name: benchmark
out: {root}/out
work: {root}/work
base: {base}
source: mini
tier: smoke
mix: {{size: 1000}}
methods: {{lora: {{settings: {{rank: 8}}}}}}
training: {{steps: {steps}, batch_size: 2, max_length: 64, save_every: {steps}}}
seeds: [{seeds}]
references: []
"""


@dataclass(frozen=True)
class Overhead:
    """What the local engine costs.

    Attributes:
        steps: number of trainings.
        wall: their duration, one at a time, in seconds.
        commands: duration of all commands together, in seconds.
        driver: CPU time of the driver itself, in seconds.
    """

    steps: int
    wall: float
    commands: float
    driver: float

    @property
    def share(self) -> float:
        """Share of the duration in which no command ran."""
        return 1 - self.commands / self.wall

    @property
    def per_step(self) -> float:
        """Seconds without a command per step."""
        return (self.wall - self.commands) / self.steps


@dataclass(frozen=True)
class Scaling:
    """One Ray node against two, each with one CPU.

    Attributes:
        runs: number of trainings.
        one: duration of the trainings on one node, in seconds.
        two: their duration on two nodes, in seconds.
    """

    runs: int
    one: float
    two: float

    @property
    def speedup(self) -> float:
        """How many times as fast two nodes are."""
        return self.one / self.two


@dataclass(frozen=True)
class Survey:
    """How long it takes to plan a board, and to see that it is finished.

    Attributes:
        planned: number of planned steps.
        plan: seconds for reading the file and planning them.
        finished: number of steps of a finished board.
        recognised: seconds of the whole command ``cme board run`` on the finished board.
    """

    planned: int
    plan: float
    finished: int
    recognised: float


def write_board(root: Path, base: str, *, steps: int, seeds: int) -> Path:
    """Write the board of a measurement and return its file."""
    root.mkdir(parents=True, exist_ok=True)
    path = root / "board.yaml"
    listed = ", ".join(map(str, range(seeds)))
    path.write_text(_BOARD.format(root=root, base=base, steps=steps, seeds=listed), encoding="utf-8")
    return path


def measure_overhead(root: Path, base: str, *, steps: int, seeds: int) -> Overhead:
    """Run the trainings of a board one at a time, and compare their duration with that of their commands. The mix exists before.

    Args:
        root: a new folder.
        base: the base model.
        steps: optimiser steps of each training.
        seeds: number of trainings.

    Raises:
        RuntimeError: a step failed.
    """
    board = read_board(write_board(root, base, steps=steps, seeds=seeds))
    run_board(board, lambda: LocalPool(1, 1, []), only="mix")
    before = resource.getrusage(resource.RUSAGE_SELF)
    ran = run_board(board, lambda: LocalPool(1, 1, []), only="runs/*")
    after = resource.getrusage(resource.RUSAGE_SELF)
    if ran.failed:
        raise RuntimeError(next(iter(ran.failed.values())))
    commands = sum(_seconds(board, name) for name in ran.done)
    driver = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Overhead(len(ran.done), ran.seconds, commands, driver)


def measure_scaling(root: Path, base: str, *, steps: int, runs: int) -> Scaling:
    """Train on one Ray node and on two. The mix exists before.

    Args:
        root: a new folder.
        base: the base model.
        steps: optimiser steps of each training.
        runs: number of trainings.

    Raises:
        RuntimeError: a training failed.
    """
    seconds = []
    for nodes in (1, 2):
        path = write_board(root / str(nodes), base, steps=steps, seeds=runs)
        board = read_board(path)
        run_board(board, lambda: LocalPool(1, 1, []), only="mix")
        seconds.append(_on_nodes(path, nodes))
    return Scaling(runs, *seconds)


def _on_nodes(path: Path, nodes: int) -> float:
    """Return the time from the start of the first training to the end of the last one."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        for _ in range(nodes - 1):
            cluster.add_node(num_cpus=1)
        command = [sys.executable, "-m", "cme", "board", "run", str(path), "--engine", "ray", "--only", "runs/*"]
        done = subprocess.run(
            [*command, "--address", cluster.address, "--json"], capture_output=True, text=True, check=False
        )
    finally:
        cluster.shutdown()  # type: ignore[no-untyped-call]
    if done.returncode:
        raise RuntimeError(done.stderr)
    return float(json.loads(done.stdout)["seconds"])


def measure_survey(root: Path, base: str, *, finished: int, planned: int) -> Survey:
    """Plan a large board, and recognise a finished one. The outputs of its steps are marked, not computed.

    Args:
        root: a new folder.
        base: the base model.
        finished: least number of steps of the finished board.
        planned: least number of steps of the planned board.
    """
    many = write_board(root / "many", base, steps=10, seeds=planned // 2)
    started = time.perf_counter()
    steps = make_plan(read_board(many)).steps
    plan = time.perf_counter() - started
    path = write_board(root / "finished", base, steps=10, seeds=finished // 2)
    board = read_board(path)
    wanted = make_plan(board).steps
    for step in wanted.values():
        _mark(step)
    kept = replace(board)
    assert all(survey(kept).states[name].finished for name in wanted if wanted[name].kind in ("mix", "run", "result"))
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "cme", "board", "status", str(path)], capture_output=True, check=True)
    return Survey(len(steps), plan, len(wanted), time.perf_counter() - started)


def _mark(step: Step) -> None:
    """Write what a finished mix, run or result has."""
    commands = {"mix": "build-data", "run": "train", "result": "eval"}
    if step.kind not in commands:
        return
    step.out.mkdir(parents=True, exist_ok=True)
    settings = {key: value for key, value in step.expects.items() if key != "run"}
    marker = {"command": commands[step.kind], "settings": settings, "digest": "", "finished": True}
    (step.out / ".cme.json").write_text(
        json.dumps(marker, default=lambda value: str(value) if isinstance(value, Path) else list(value)),
        encoding="utf-8",
    )
    record = {"wall_seconds": 60.0, "validation_loss": 1.0, "adapter_fingerprint": "", "seconds": {}}
    for name in ("run.json", "result.json"):
        (step.out / name).write_text(json.dumps(record), encoding="utf-8")


def _seconds(board: Board, step: str) -> float:
    record = json.loads((board.work / STEPS / f"{step}.json").read_text(encoding="utf-8"))
    return float(record["seconds"])
