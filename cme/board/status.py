"""Summaries of a board: what is finished, what is running, what is left, and what it will take."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cme.board.board import Board
from cme.board.command import shell_line
from cme.board.files import read_mapping
from cme.board.state import LOGS, STEPS, State, Survey
from cme.board.step import Step

__all__ = ["Estimate", "StepStatus", "estimate", "statuses", "word"]


@dataclass(frozen=True)
class StepStatus:
    """A step with its state.

    Attributes:
        name: name of the step.
        kind: kind of output.
        state: ``finished``, ``diverged``, ``running``, ``unfinished``, ``failed``, ``ready``, ``waiting``, ``not needed`` or
            ``other``, for a folder with other work.
        command: the command line.
        needs: names of the steps that it needs.
        out: output folder or file.
        row: name of its row.
        base: base model.
        rate: learning rate, if it is known.
        seed: seed.
        variant: prompt variant.
        seconds: what it took, if it is finished and known.
        detail: who runs it, why it failed, or what the folder has instead.
    """

    name: str
    kind: str
    state: str
    command: str
    needs: tuple[str, ...]
    out: str
    row: str
    base: str
    rate: float | None
    seed: int | None
    variant: int
    seconds: float | None
    detail: str


@dataclass(frozen=True)
class Estimate:
    """What the unfinished steps will take, by the means of finished steps of the same kind on the same base.

    Attributes:
        hours: hours of work, one step at a time.
        bytes: disk space.
        unknown: number of steps of kinds of which none is finished on their base yet.
    """

    hours: float
    bytes: int
    unknown: int


def statuses(now: Survey) -> list[StepStatus]:
    """Return all steps with their states, in the order of the plan."""
    board = now.plan.board
    listed = []
    for step in now.plan.steps.values():
        state = now.states[step.name]
        record = _record(step, board)
        failed = bool(record.get("code")) and not state.finished and state.holder is None
        label = word(now, step.name, failed=failed and record["code"] > 0)
        log = board.work / LOGS / f"{step.name}.log"
        detail = f"exit code {record['code']}, log: {log}" if label == "failed" else ""
        if state.holder is not None:
            detail = f"process {state.holder.pid} on {state.holder.host}, since {state.holder.since}"
        listed.append(
            StepStatus(
                step.name, step.kind, label, shell_line(step.argv), step.needs, str(step.out), step.row, step.base, step.rate,
                step.seed, step.variant, _seconds(step, record) if state.finished else None, state.problem or detail,
            )
        )  # fmt: skip
    return listed


def word(now: Survey, name: str, *, failed: bool = False) -> str:
    """Return the state of a step in a word.

    Args:
        now: the board.
        name: name of the step.
        failed: whether its last command failed.
    """
    state: State = now.states[name]
    if state.finished:
        return "diverged" if state.diverged else "finished"
    if name not in now.needed:
        return "not needed"
    if state.problem:
        return "other"
    if state.holder is not None:
        return "running"
    if failed:
        return "failed"
    if state.begun and now.plan.steps[name].kind != "grid":
        return "unfinished"
    return "ready" if now.ready(name) else "waiting"


def estimate(now: Survey) -> Estimate:
    """Estimate what the unfinished steps will take."""
    board = now.plan.board
    seconds: Mapping[tuple[str, ...], list[float]] = defaultdict(list)
    sizes: Mapping[tuple[str, ...], list[int]] = defaultdict(list)
    for step in now.plan.steps.values():
        if not now.states[step.name].finished:
            continue
        took, size = _seconds(step, _record(step, board)), _size(step)
        for key in _kinds(step):
            if took is not None:
                seconds[key].append(took)
            sizes[key].append(size)
    total, space, unknown = 0.0, 0, 0
    for name in now.needed:
        step = now.plan.steps[name]
        times = next((seconds[key] for key in _kinds(step) if seconds.get(key)), None)
        if times:
            total += sum(times) / len(times)
        else:
            unknown += step.kind not in ("grid", "entry", "ids", "table", "board")
        own = next((sizes[key] for key in _kinds(step) if sizes.get(key)), [0])
        space += sum(own) // len(own)
    return Estimate(total / 3600, space, unknown)


def _kinds(step: Step) -> tuple[tuple[str, ...], ...]:
    """Return which finished steps tell what a step will take, nearest first. Those on another base do not."""
    return (step.kind, step.base, step.row), (step.kind, step.base)


def _record(step: Step, board: Board) -> dict[str, Any]:
    file = board.work / STEPS / f"{step.name}.json"
    return dict(read_mapping(file)) if file.is_file() else {}


def _seconds(step: Step, record: Mapping[str, Any]) -> float | None:
    """Return what a finished step took: by its record, or by its output if a person ran the command."""
    if record.get("code") == 0 and isinstance(record.get("seconds"), int | float):
        return float(record["seconds"])
    for name in ("run.json", "result.json"):
        if step.kind in ("rate", "run", "result") and (file := step.out / name).is_file():
            values = read_mapping(file)
            spent = values.get("wall_seconds", 0.0) if name == "run.json" else sum(values.get("seconds", {}).values())
            return float(spent)
    return None


def _size(step: Step) -> int:
    if step.kind in ("grid", "table", "board", "entry", "ids") or not step.out.is_dir():
        return 0
    return sum(item.stat().st_size for item in Path(step.out).rglob("*") if item.is_file())
