"""Boards from one YAML file: plan, run, status and commands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cme.api.call import StrPath, names, path, public
from cme.api.tables import as_html, as_text
from cme.errors import UsageError, unknown

if TYPE_CHECKING:
    import pandas as pd

    from cme.board.status import Estimate, StepStatus

__all__ = ["BoardPlan", "BoardRun", "board_commands", "board_status", "board_tables", "plan_board", "run_board"]

ENGINES = ("local", "ray")


@dataclass(frozen=True, repr=False)
class BoardPlan:
    """The steps of a board and their states.

    Attributes:
        name: name of the board.
        work: folder of the mix, the runs and the results.
        out: folder of the entries and tables.
        steps: the steps in order. Each follows those that it needs.
        estimate: what the unfinished steps will take.
        rates: learning rates of each grid so far, by row. With several bases, by ``base/row``.
        chosen: learning rate of each row whose grid is complete.
        tuned: settings that a complete grid chose together with the rate, by row.
        extra_entries: entries in the folders of the tables that are of no row, such as that of a renamed row. The tables show
            them until their files are removed.
    """

    name: str
    work: Path
    out: Path
    steps: "tuple[StepStatus, ...]"
    estimate: "Estimate"
    rates: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    chosen: Mapping[str, float] = field(default_factory=dict)
    tuned: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    extra_entries: tuple[Path, ...] = ()

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return all(step.state in ("finished", "diverged", "not needed") for step in self.steps)

    def to_frame(self) -> "pd.DataFrame":
        """Return the steps.

        Returns:
            One row per step: ``name``, ``kind``, ``state``, ``row``, ``base``, ``rate``, ``seed``, ``variant``, ``seconds``,
            ``command``.
        """
        import pandas as pd

        columns = ["name", "kind", "state", "row", "base", "rate", "seed", "variant", "seconds", "command"]
        frame = pd.DataFrame([[getattr(step, key) for key in columns] for step in self.steps], columns=columns)
        return frame.astype({"rate": "float64", "seed": "Int64", "variant": "int64", "seconds": "float64"})

    def __repr__(self) -> str:
        return as_text(*self._shown())

    def _repr_html_(self) -> str:
        return as_html(*self._shown())

    def _shown(self) -> "tuple[str, pd.DataFrame]":
        done = sum(step.state in ("finished", "diverged") for step in self.steps)
        return f"Board {self.name}: {done} of {len(self.steps)} steps finished", self.to_frame()[["name", "state"]]


@dataclass(frozen=True)
class BoardRun:
    """What a run of a board did.

    Attributes:
        name: name of the board.
        out: folder of the entries and tables.
        done: names of the steps that were run.
        failed: error message of each step that failed.
        blocked: names of the steps that need a failed one.
        left: number of steps that the whole board still needs.
        seconds: duration.
        extra_entries: see `BoardPlan`.
    """

    name: str
    out: Path
    done: tuple[str, ...]
    failed: Mapping[str, str]
    blocked: tuple[str, ...]
    left: int
    seconds: float
    extra_entries: tuple[Path, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether all steps that were wanted are finished."""
        return not self.failed and not self.blocked

    def __fspath__(self) -> str:
        return str(self.out)


@public
def plan_board(file: StrPath, *, work: StrPath | None = None, only: str | Sequence[str] | None = None) -> BoardPlan:
    """Plan a board: its steps, what is finished, and what is left: ``cme board plan``. Nothing is run or written.

    Args:
        file: the YAML file of the board.
        work: folder of the mix, the runs and the results, instead of the one in the file.
        only: pattern of names of steps, or several, as a list or with commas. Only the needed steps that fit, and what they
            need, are listed.

    Returns:
        The plan.

    Raises:
        CMEError: if the file is not a board, or a folder of the board is damaged.

    Example:
        >>> from pathlib import Path
        >>> text = "{name: small, out: table, source: mini, methods: {lora: demo-lora}, rates: [1e-3, 2e-3], seeds: [0]}"
        >>> _ = Path("plan.yaml").write_text(text)
        >>> [step.name for step in cme.plan_board("plan.yaml").steps][:4]
        ['mix', 'results/base', 'grid/lora/lr-1e-03', 'grid/lora/lr-2e-03']
    """
    from cme.board.run import selected

    patterns = names(only) or ()
    now = _survey(file, work)
    return _made(now, selected(now, patterns) if patterns else None)


@public
def board_status(file: StrPath, *, work: StrPath | None = None) -> BoardPlan:
    """Read the state of a board from its folders: ``cme board status``. No engine is needed.

    Args:
        file: the YAML file of the board.
        work: folder of the mix, the runs and the results, instead of the one in the file.

    Returns:
        All steps with their states.

    Raises:
        CMEError: as for `plan_board`.

    Example:
        >>> from pathlib import Path
        >>> text = "{name: small, out: table, source: mini, methods: {lora: demo-lora}, rates: [1e-3, 2e-3], seeds: [0]}"
        >>> _ = Path("status.yaml").write_text(text)
        >>> cme.board_status("status.yaml").finished
        False
    """
    return _made(_survey(file, work), None)


@public
def board_commands(file: StrPath, *, work: StrPath | None = None, stage: int | None = None) -> list[str]:
    """Return the shell commands of the unfinished steps: ``cme board commands``.

    The commands of one stage need only those of earlier stages, so they can run in any order and at the same time.

    Args:
        file: the YAML file of the board.
        work: folder of the mix, the runs and the results, instead of the one in the file.
        stage: number of a stage, from 1. None means all, with a comment line before each stage.

    Returns:
        One line per command.

    Raises:
        CMEError: as for `plan_board`.

    Example:
        >>> cme.board_commands("leaderboards/demo/board.yaml", stage=1)  # doctest: +SKIP
    """
    from cme.board.commands import command_lines

    return command_lines(_survey(file, work), stage)


@public
def board_tables(file: StrPath, *, work: StrPath | None = None, check: bool = False) -> list[Path]:
    """Write the tables and figures of the studies, and the order of the methods on several bases: ``cme board tables``.

    This is the last step of a board. It reads the entries, so it also works without the work folder and without the bases.

    Args:
        file: the YAML file of the board.
        work: folder of the mix, the runs and the results, instead of the one in the file.
        check: write nothing, and return the files that do not match the entries. Of a figure, only the existence is checked,
            because its bytes depend on the version of matplotlib.

    Returns:
        The files written, or with ``check`` those that do not match. None for a board with one base and without studies.

    Raises:
        CMEError: if an entry is missing or damaged.

    Example:
        >>> cme.board_tables("leaderboards/demo/board.yaml")  # doctest: +SKIP
    """
    from cme.board.board import read_board
    from cme.board.tables import stale_tables, write_tables

    board = read_board(path(file), None if work is None else path(work), with_bases=False)
    return stale_tables(board) if check else write_tables(board)


@public
def run_board(
    file: StrPath,
    *,
    work: StrPath | None = None,
    engine: str = "local",
    address: str | None = None,
    jobs: int | None = None,
    only: str | Sequence[str] | None = None,
    fail_fast: bool = False,
) -> BoardRun:
    """Run everything on a board that is not finished: ``cme board run``.

    All state lies in the folders of the steps. After an interruption, the same call continues, with any engine.

    Args:
        file: the YAML file of the board.
        work: folder of the mix, the runs and the results, instead of the one in the file.
        engine: ``local`` runs subprocesses on this machine. ``ray`` runs tasks on a Ray cluster (extra ``boards``), whose nodes
            share the folders.
        address: address of a Ray cluster. None means that of ``RAY_ADDRESS``, or a new one on this machine.
        jobs: most steps at a time. None means one per GPU, or as many as the cores allow.
        only: pattern of names of steps, such as ``results/lora-*``, or several, as a list or with commas. Only these are run,
            and what they need.
        fail_fast: interrupt everything after the first failure. Otherwise everything runs that does not need a failed step.

    Returns:
        What was done, and what failed.

    Raises:
        CMEError: if the file is not a board, a folder has other work, or the engine is not installed.

    Example:
        >>> cme.run_board("leaderboards/demo/board.yaml", jobs=2).ok  # doctest: +SKIP
    """
    from cme.board.board import read_board
    from cme.board.pool import LocalPool, Pool, visible_gpus
    from cme.board.run import run_board as run

    if engine not in ENGINES:
        raise unknown("engine", engine, ENGINES)
    if address is not None and engine != "ray":
        raise UsageError(
            "address is only for the engine ray. Give engine='ray' (--engine ray), or leave the address out."
        )
    if jobs is not None and jobs < 1:
        raise UsageError(f"jobs is {jobs}. Give at least 1.")
    patterns = names(only) or ()
    board = read_board(path(file), None if work is None else path(work))

    def make_pool() -> Pool:
        if engine == "ray":
            from cme.board.ray_pool import RayPool

            return RayPool(address, jobs)
        return LocalPool(jobs, board.file.threads, [] if board.file.device == "cpu" else visible_gpus())

    if engine == "ray":
        from cme.board.ray_pool import load_ray

        load_ray()
    ran = run(board, make_pool, only=patterns, fail_fast=fail_fast)
    return BoardRun(
        board.file.name, board.out, tuple(ran.done), ran.failed, tuple(ran.blocked), ran.left, ran.seconds,
        tuple(ran.extra_entries),
    )  # fmt: skip


def _survey(file: StrPath, work: StrPath | None) -> Any:
    from cme.board.board import read_board
    from cme.board.run import check_folder
    from cme.board.state import survey

    board = read_board(path(file), None if work is None else path(work))
    check_folder(board)
    return survey(board)


def _made(now: Any, chosen: frozenset[str] | None) -> BoardPlan:
    from cme.board.state import extra_entries
    from cme.board.status import estimate, statuses

    board, plan = now.plan.board, now.plan
    steps = tuple(step for step in statuses(now) if chosen is None or step.name in chosen)
    prefixes = {base.label: base.prefix for base in board.bases}
    return BoardPlan(
        board.file.name,
        board.work,
        board.out,
        steps,
        estimate(now),
        {f"{prefixes[base]}{row}": rates for (base, row), rates in plan.rates.items()},
        {f"{prefixes[base]}{row}": rate for (base, row), rate in plan.chosen.items()},
        {f"{prefixes[base]}{row}": dict(cell.values) for (base, row), cell in plan.cells.items()},
        tuple(extra_entries(plan)),
    )
