"""Runs the steps of a board that are not finished, with any pool."""

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from cme.board.board import Board
from cme.board.command import Outcome, StepCommand
from cme.board.files import read_mapping
from cme.board.pool import Pool
from cme.board.starts import Starts
from cme.board.state import LOGS, STEPS, State, Survey, extra_entries, inputs_of, state_of, survey
from cme.board.step import Step
from cme.errors import UsageError
from cme.files import write_json
from cme.locks import holder_of, locks_released
from cme.machine import machine_id
from cme.progress import Bar, announce, bar

__all__ = ["Ran", "check_folder", "run_board", "selected"]

_RECORD = "board.json"
_RETRIES = 5
_RENDERED = ("table", "board")
_LAST = ("analysis", "export")
"""Kinds of steps that no entry of scores needs. They take long, so they start when nothing else can."""

_OTHERS_POLL = 2.0


@dataclass
class Ran:
    """What a run of a board did.

    Attributes:
        done: names of the steps that were run.
        failed: message of each step that failed.
        blocked: names of the steps that need a failed one.
        left: number of steps that the whole board still needs.
        seconds: duration.
        extra_entries: entries in the folders of the tables that are of no row.
    """

    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    blocked: list[str] = field(default_factory=list)
    left: int = 0
    seconds: float = 0.0
    extra_entries: list[Path] = field(default_factory=list)


def run_board(board: Board, make_pool: Callable[[], Pool], *, only: Sequence[str] = (), fail_fast: bool = False) -> Ran:
    """Run everything that a board needs and that is not finished.

    A step that another process works on is left to that process. A killed command is run again, and continues its work.

    Args:
        board: the board.
        make_pool: makes the pool in which the commands run. It is called only if something is left to do.
        only: patterns of names of steps, such as ``results/lora-*``. Only these are run, and what they need. None means all.
        fail_fast: interrupt everything after the first failure. Otherwise all steps run that do not need a failed one.

    Raises:
        UsageError: the work folder belongs to another board, a folder has other work, something that the steps read does not
            exist, or no step fits a pattern.
        CMEError: a file of the board is damaged or cannot be written.
    """
    check_folder(board)
    now = survey(board)
    wanted = selected(now, only)
    refuse_conflicts(now, wanted)
    if not wanted:
        return Ran(left=len(now.needed), extra_entries=extra_entries(now.plan))
    from cme.board.inputs import check_inputs

    check_inputs(board, [now.plan.steps[name] for name in wanted])
    pool = make_pool()
    try:
        pool.check(now.plan.steps[name] for name in wanted)
        write_json(board.work / _RECORD, {"board": board.file.name, "out": str(board.out)})
        with locks_released():
            return _Driver(board, pool, now, only, fail_fast).run()
    finally:
        pool.stop()
        Starts(board.work).tidy()


def check_folder(board: Board) -> None:
    """Refuse the work folder of another board.

    Raises:
        UsageError: the folder belongs to another board, or is a file.
    """
    if board.work.exists() and not board.work.is_dir():
        raise UsageError(f"{board.work} is a file. Choose a folder with --work.")
    record = board.work / _RECORD
    if record.is_file():
        name = read_mapping(record).get("board")
        if name != board.file.name:
            raise UsageError(
                f"{board.work} is the work folder of the board {name!r}, not of {board.file.name!r}. Choose another with --work."
            )


def selected(now: Survey, only: Sequence[str]) -> frozenset[str]:
    """Return the needed steps that fit one of the patterns, with the needed steps that they need. No pattern means all.

    Raises:
        UsageError: no step fits a pattern.
    """
    if not only:
        return now.needed
    steps, chosen = now.plan.steps, set[str]()
    for pattern in only:
        fitting = {name for name in steps if fnmatchcase(name, pattern)}
        if not fitting:
            raise UsageError(
                f"no step fits {pattern!r}. 'cme board plan' lists the names, such as {next(iter(steps))!r}."
            )
        chosen |= {name for name in fitting if not now.states[name].finished}
    for name in reversed(list(steps)):
        if name in chosen:
            chosen |= {other for other in steps[name].needs if not now.states[other].finished}
    return frozenset(chosen)


def refuse_conflicts(now: Survey, wanted: frozenset[str]) -> None:
    """Refuse to run a board if a folder has the output of something else.

    Raises:
        UsageError: there is such a folder. The message lists all.
    """
    problems = [problem for name in now.plan.steps if name in wanted and (problem := now.states[name].problem)]
    if problems:
        listed = "\n  ".join(problems[:8]) + (f"\n  … and {len(problems) - 8} more" if len(problems) > 8 else "")
        raise UsageError(
            f"these folders are not this board's:\n  {listed}\nMove or remove them, or choose another --work. Nothing was "
            "changed."
        )


class _Driver:
    """Decides which step starts when."""

    def __init__(self, board: Board, pool: Pool, now: Survey, only: Sequence[str], fail_fast: bool) -> None:
        self.board, self.pool, self.only, self.fail_fast = board, pool, only, fail_fast
        self.ran, self.attempts, self._shown = Ran(), dict[str, int](), 0
        self.starts, self.begun = Starts(board.work), dict[str, Step]()
        self._take(now)

    def _take(self, now: Survey) -> None:
        self.now = now
        self.wanted = selected(now, self.only)
        self.states: dict[str, State] = dict(now.states)
        self.heights, self.places = _heights(now.plan.steps), _places(now.plan.steps)

    def run(self) -> Ran:
        started = time.monotonic()
        with bar(f"Board {self.board.file.name}", total=len(self.wanted)) as progress:
            while self._turn(progress):
                pass
        self.ran.blocked = [name for name in self._open() if name not in self.ran.failed]
        after = survey(self.board)
        self.ran.left, self.ran.seconds = len(after.needed), time.monotonic() - started
        self.ran.extra_entries = extra_entries(after.plan)
        return self.ran

    def _open(self) -> list[str]:
        return [name for name in self.now.plan.steps if name in self.wanted and not self.states[name].finished]

    def _turn(self, progress: Bar) -> bool:
        """Start what can start, wait a little, and take note of what ended. Return whether anything is left to do."""
        if self.ran.failed and self.fail_fast:
            return False
        held = self._start()
        running = self.pool.running()
        if not running and not held:
            return False
        progress.describe(f"Board {self.board.file.name}: {', '.join(running[:3]) or 'waiting for another process'}")
        if not running:
            time.sleep(_OTHERS_POLL)
        decisive = False
        for outcome in self.pool.wait():
            decisive = self._note(outcome) or decisive
        if decisive or not running:
            # The losses decide whether a grid is widened, a new measurement replaces the costs of all its rows, and another
            # process may have finished steps.
            self._take(survey(self.board))
        progress.expect(len(self.ran.done) + len(self._open()))
        progress.advance(len(self.ran.done) - self._shown)
        self._shown = len(self.ran.done)
        return True

    def _start(self) -> bool:
        """Start all steps that can start. Return whether a step waits for another process."""
        steps, running = self.now.plan.steps, set(self.pool.running())
        if any(steps[name].alone for name in running if name in steps):
            return False
        if self._busy(name for name in self._open() if steps[name].alone and name not in running):
            return True
        ready = [
            name for name in self._open() if name not in running and name not in self.ran.failed and self._ready(name)
        ]
        ready.sort(key=self._priority)
        held = False
        for name in ready:
            step = steps[name]
            if problem := self.states[name].problem:
                # The best rate of a grid may differ from the rate of runs that were trained before.
                self._fail(name, f"{problem}. Move or remove it, and run the same command again.")
                continue
            if self.states[name].holder is not None:
                self.states[name] = state_of(step, self.board)
                if self.states[name].holder is not None or self.states[name].finished:
                    held = True
                    continue
            if step.alone and (self.pool.running() or held):
                break
            if step.alone and self._busy(self._open()):
                return True
            if not self.pool.fits(step):
                continue
            if not self._mine(step):
                held = True
                continue
            # A later plan may lack a step that is running.
            self.begun[step.name] = step
            self.pool.start(step, self._command(step))
            if step.alone:
                break
        return held

    def _priority(self, name: str) -> tuple[bool, bool, int, int]:
        """Return the key by which steps that can start are sorted. A row is finished before the next one begins."""
        step = self.now.plan.steps[name]
        return step.kind in _LAST, step.alone, self.places[step.base, step.row], -self.heights[name]

    def _mine(self, step: Step) -> bool:
        """Lock a step for this driver. Return False if another driver has started it, or has finished it in the meantime."""
        if not self.starts.take(step.lock):
            return False
        self.states[step.name] = state = state_of(step, self.board)
        if state.finished or state.holder is not None or state.problem:
            self.starts.release(step.lock)
            return False
        return True

    def _busy(self, names: Iterable[str]) -> bool:
        """Return whether another driver of this board runs one of these steps on this machine."""
        holders = (
            holder_of(self.now.plan.steps[name].out) or self.starts.other(self.now.plan.steps[name].lock)
            for name in names
        )
        return any(holder is not None and holder.machine == machine_id() for holder in holders)

    def _ready(self, name: str) -> bool:
        return all(self.states[other].finished for other in self.now.plan.steps[name].needs)

    def _command(self, step: Step) -> StepCommand:
        work = self.board.work.absolute()
        inputs = inputs_of(step, self.board) if step.kind in _RENDERED else ""
        env = {"CME_PROGRESS": "lines", "RAY_USAGE_STATS_ENABLED": "0"}
        record, log = work / STEPS / f"{step.name}.json", work / LOGS / f"{step.name}.log"
        return StepCommand(step.name, step.argv, os.getcwd(), str(log), str(record), env, inputs=inputs)  # noqa: PTH109

    def _note(self, outcome: Outcome) -> bool:
        """Take note of how a step ended. Return whether other steps follow from what it measured."""
        step = self.begun.pop(outcome.name)
        self.starts.release(step.lock)
        state = self.states[step.name] = state_of(step, self.board)
        if state.finished:
            self.ran.done.append(step.name)
            return step.kind in ("rate", "grid", "costs") or step.name not in self.now.plan.steps
        if outcome.interrupted and self.attempts.get(step.name, 0) < _RETRIES:
            self.attempts[step.name] = self.attempts.get(step.name, 0) + 1
            return False
        if outcome.code and state.holder is not None:
            return False
        message = outcome.message or f"the command ended with exit code {outcome.code}"
        if not outcome.code:
            message = f"the command succeeded, but its output is not what the board needs: {_reason(step, state)}"
        self._fail(step.name, f"{message} (log: {self.board.work / LOGS / f'{step.name}.log'})")
        return False

    def _fail(self, name: str, message: str) -> None:
        """Take note of a failure. If others go on, which may take hours, tell the user at once."""
        self.ran.failed[name] = message
        waiting = (other for other in self._open() if other not in self.ran.failed and other not in self.begun)
        others = any(self._ready(other) for other in waiting)
        if not self.fail_fast and (others or self.pool.running()):
            announce(f"{name} failed, and steps that do not need it go on: {message}")


def _reason(step: Step, state: State) -> str:
    from cme.board.entry_match import entry_problem
    from cme.board.id_steps import ids_problem

    if step.kind == "entry":
        return f"the entry is {entry_problem(step)}"
    if step.kind == "ids":
        return f"the file of row ids is {ids_problem(step)}"
    return state.problem or f"{step.out} is not finished"


def _places(steps: Mapping[str, Step]) -> dict[tuple[str, str], int]:
    """Return the place of each row in the order of the plan, so that a lost machine costs unfinished rows only."""
    places: dict[tuple[str, str], int] = {}
    for step in steps.values():
        places.setdefault((step.base, step.row), len(places))
    return places


def _heights(steps: Mapping[str, Step]) -> dict[str, int]:
    """Return for each step how many steps follow it at least, so that the longest chain of a row starts first."""
    heights = dict.fromkeys(steps, 0)
    for name in reversed(list(steps)):
        for other in steps[name].needs:
            heights[other] = max(heights[other], heights[name] + 1)
    return heights
