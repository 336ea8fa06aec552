"""What the folders of a board say about its steps. Nothing else is remembered, so that any engine or person can go on."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cme.board.board import Base, Board
from cme.board.choice import Facts
from cme.board.entry_match import entry_problem
from cme.board.files import damage_reported, read_mapping
from cme.board.id_steps import ids_problem
from cme.board.match import hardware_problem, marker_problem, report_problem
from cme.board.plan import Plan, make_plan
from cme.board.rows import Row
from cme.board.step import Step
from cme.board.wanted import of_entry
from cme.errors import CMEError
from cme.locks import Holder, holder_of
from cme.records.grid import DIVERGED, GRID, folder_of

__all__ = [
    "LOGS",
    "STEPS",
    "State",
    "Survey",
    "extra_entries",
    "inputs_of",
    "losses_of_entry",
    "read_facts",
    "state_of",
    "survey",
]

LOGS = "logs"
"""Folder with the messages of the steps, in the work folder of the board."""

STEPS = "steps"
"""Folder with the records of the steps, in the work folder of the board."""

_MARKER = ".cme.json"
_DERIVED = ("rate", "grid", "run", "result", "analysis", "export")
"""Kinds of steps whose output is not the board's if that of a step that they need is not."""


@dataclass(frozen=True)
class State:
    """The state of a step.

    Attributes:
        finished: whether its output is complete.
        begun: whether there is unfinished output, from which the step continues.
        problem: reason why the output cannot be this step's, or None.
        diverged: whether training diverged, which is a result for the grid.
        holder: the process that works on it, or None.
    """

    finished: bool = False
    begun: bool = False
    problem: str | None = None
    diverged: bool = False
    holder: Holder | None = None


@dataclass(frozen=True)
class Survey:
    """A board's plan and the state of each of its steps.

    Attributes:
        plan: the plan, with grids as wide as their losses demand so far.
        states: state by step.
        needed: names of the unfinished steps that something unfinished needs, or that nothing needs.
    """

    plan: Plan
    states: Mapping[str, State]
    needed: frozenset[str]

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return not self.needed

    def ready(self, name: str) -> bool:
        """Return whether all steps that a step needs are finished."""
        return all(self.states[other].finished for other in self.plan.steps[name].needs)


def survey(board: Board) -> Survey:
    """Read the state of a board from its folders.

    Args:
        board: the board.

    Raises:
        CMEError: a file in the folders is damaged.
    """
    plan = make_plan(board, read_facts(board))
    states: dict[str, State] = {}
    for name, step in plan.steps.items():
        states[name] = state_of(step, board)
        # A grid also waits for the rates of other rows, but reads only its own.
        read = [other for other in step.needs if step.kind != "grid" or plan.steps[other].row == step.row]
        cause = next((plan.steps[other].out for other in read if states[other].problem), None)
        if cause is not None and step.kind in _DERIVED and states[name].finished:
            states[name] = State(problem=f"{step.out} was made with {cause}")
        # A table shows its entries, so it is not finished before them.
        if step.kind in ("table", "board") and not all(states[other].finished for other in step.needs):
            states[name] = State()
    for name, step in plan.steps.items():
        if step.kind == "ids":
            states[name] = _ids(step, states, [other for other in plan.steps.values() if other.kind == "entry"])
    return Survey(plan, states, _needed(plan, states))


def state_of(step: Step, board: Board) -> State:
    """Read the state of one step.

    Args:
        step: the step.
        board: its board.

    Raises:
        CMEError: a file in the folder is damaged.
    """
    if step.kind == "entry":
        problem = entry_problem(step)
        return State(finished=problem is None)
    if step.kind == "ids":
        return State(finished=ids_problem(step) is None)
    if step.kind in ("table", "board"):
        return _rendered(step, board)
    if step.kind == "costs":
        return _measured(step)
    return _marked(step)


def _ids(step: Step, states: Mapping[str, State], entries: Sequence[Step]) -> State:
    """Return the state of a file of row ids.

    A finished board needs no mix on this machine, and none is built for its ids. Before, a file is not finished as long as that
    of which it has the ids may change.
    """
    if all(states[other].finished for other in step.needs) and (step.parts["of"][0].exists() or step.out.is_file()):
        return states[step.name]
    return State(finished=all(states[other.name].finished for other in entries))


def inputs_of(step: Step, board: Board) -> str:
    """Return the fingerprint of everything that a table shows, so that it is made again after a change."""
    import cme

    digest = hashlib.sha256(cme.__version__.encode())
    if step.kind == "board":
        digest.update(board.path.read_bytes())
    folders = [step.out / "entries"] if step.kind == "table" else sorted(board.out.rglob("entries"))
    for file in (file for folder in folders for file in sorted(folder.glob("*.json"))):
        contents = file.read_bytes() if step.expects.get("experts", True) else _without_experts(file)
        digest.update(file.name.encode() + hashlib.sha256(contents).digest())
    return digest.hexdigest()


def _without_experts(file: Path) -> bytes:
    """Return the content of an entry without its analyses and exports, which are added later."""
    entry = dict(read_mapping(file))
    with damage_reported(file):
        entry["runs"] = [
            {key: run[key] for key in run if key not in ("experts", "router_worth")} for run in entry["runs"]
        ]
    return json.dumps(entry, sort_keys=True).encode()


def _marked(step: Step) -> State:
    marker = step.out / _MARKER
    if not marker.is_file():
        # A grid's folder has the folders of its rates before the grid is chosen. A killed process may leave parts of a marker.
        if step.kind != "grid" and step.out.is_dir() and any(not _incomplete(item) for item in step.out.iterdir()):
            return State(problem=f"{step.out} is not empty and was not made by 'cme {step.argv[0]}'")
        return State(holder=_holder(step))
    values = read_mapping(marker)
    problem = marker_problem(step, values)
    finished = bool(values.get("finished")) and problem is None
    if step.kind == "grid" and finished:
        # A grid that is finished with fewer rates or values goes on.
        finished = all(values["settings"].get(key) == step.expects.get(key) for key in ("lr_grid", "tune"))
    diverged = step.kind == "rate" and not finished and (step.out / DIVERGED).is_file()
    return State(
        finished=finished or diverged,
        begun=not finished,
        problem=problem,
        diverged=diverged,
        holder=None if finished else _holder(step),
    )


def _holder(step: Step) -> Holder | None:
    """Return who works on a step. ``cme train --lr-grid`` works on all rates of its folder."""
    holder = holder_of(step.out)
    return holder_of(step.out.parent) if holder is None and step.kind == "rate" else holder


def _incomplete(item: Path) -> bool:
    return item.name.startswith(".cme.lock") or (item.name.startswith(f".{_MARKER}.") and item.suffix == ".tmp")


def _measured(step: Step) -> State:
    file = step.out / "report.json"
    if not file.is_file():
        return State(holder=_holder(step))
    problem = report_problem(step, read_mapping(file)) or hardware_problem(step)
    return State(finished=problem is None, problem=problem)


def _rendered(step: Step, board: Board) -> State:
    record = board.work / STEPS / f"{step.name}.json"
    files = step.parts.get("files", (step.out / "leaderboard.md",))
    if not record.is_file() or not all(file.is_file() for file in files):
        return State()
    values = read_mapping(record)
    return State(finished=values.get("inputs") == inputs_of(step, board))


def _needed(plan: Plan, states: Mapping[str, State]) -> frozenset[str]:
    """Return the unfinished steps that have to run: those that nothing needs, and what they need."""
    used = {other for step in plan.steps.values() for other in step.needs}
    needed: set[str] = set()
    # A step follows those that it needs, so the reverse order visits everything that needs a step before the step.
    for name in reversed(list(plan.steps)):
        if states[name].finished:
            continue
        if name not in used or name in needed:
            needed |= {name, *(other for other in plan.steps[name].needs if not states[other].finished)}
    return frozenset(needed)


def read_facts(board: Board) -> Facts:
    """Read the losses of all grids: from the runs, and where these are elsewhere, from the entries.

    Args:
        board: the board.
    """
    losses: dict[tuple[str, str], dict[float, float | None]] = {}
    for base in board.bases if board.file.rates else ():
        for row in board.rows:
            if row.rate_of != row.name:
                continue
            grid = board.work / base.prefix / "grid" / row.name
            for cell, values in row.parts:
                with damage_reported(grid):
                    losses[base.label, cell.name] = losses_of_entry(board, base, row, values) | dict(
                        _from_runs(grid, values)
                    )
    return Facts(losses)


def extra_entries(plan: Plan) -> list[Path]:
    """Return the entries in the folders of a board's tables that are of no row, such as that of a row that was renamed."""
    own = {step.out for step in plan.steps.values() if step.kind == "entry"}
    return [
        file
        for folder in sorted({path.parent for path in own})
        for file in sorted(folder.glob("*.json"))
        if file not in own
    ]


def losses_of_entry(
    board: Board, base: Base, row: Row, cell: Mapping[str, Any] | None = None
) -> dict[float, float | None]:
    """Return the losses in the entry of a row, if it fits the board in everything but its rates.

    ``cell`` has the settings whose losses are returned, if the grid of the row chooses settings.
    """
    below = f"studies/{row.study}/entries" if row.study else "entries"
    file = board.out / base.prefix / below / f"{row.name}.json"
    variants = board.file.prompt_variants.which if row.name in board.file.prompt_variants.rows else ()
    expects = of_entry(board, base, row, row.name, {}, variants) | {"rates": None}
    if entry_problem(Step(row.name, "entry", (), file, expects=expects)) is not None:
        return {}
    runs = (read_mapping(file).get("lr_grid") or {}).get("runs", ())
    return {run["learning_rate"]: run["validation_loss"] for run in runs if run.get("settings") == cell}


def _from_runs(folder: Path, cell: Mapping[str, Any] | None = None) -> Iterable[tuple[float, float | None]]:
    for run in read_mapping(folder / GRID).get("runs", ()) if (folder / GRID).is_file() else ():
        if run["problem"] is not None and run.get("settings") == cell:
            yield run["learning_rate"], None
    for out in sorted(folder.glob(folder_of(1.0, cell).removesuffix("1e+00") + "*")):
        if (out / _MARKER).is_file() and (marker := read_mapping(out / _MARKER)).get("finished"):
            rate = marker["settings"]["learning_rate"]
            if folder_of(rate, cell) == out.name:
                yield rate, _loss(out)
        elif (out / DIVERGED).is_file():
            rate = read_mapping(out / DIVERGED)["learning_rate"]
            if folder_of(rate, cell) == out.name:
                yield rate, None


def _loss(run: Path) -> float | None:
    loss = read_mapping(run / "run.json").get("validation_loss")
    if loss is None:
        raise CMEError(
            f"{run} has no validation loss, which is needed to choose a learning rate. Build the mix with a validation split."
        )
    return float(loss)
