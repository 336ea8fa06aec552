"""``cme board``: run a whole board from one YAML file."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cme.cli.app import app, emit_json, note, verb
from cme.cli.options import Json
from cme.cli.tables import show_table
from cme.progress import announced

if TYPE_CHECKING:
    from cme.api.board_runs import BoardPlan

__all__ = ["commands", "plan", "run", "status", "tables"]

board = typer.Typer(help="Run a whole board from one YAML file.", no_args_is_help=True)
app.add_typer(board, name="board")

BoardYaml = Annotated[Path, typer.Argument(metavar="FILE", help="YAML file of the board.")]
Work = Annotated[
    Path | None,
    typer.Option(
        "--work", help="Folder of the mix, the runs and the results. Default: that in the file, or boards/NAME."
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        help="Only steps that fit these patterns, and what they need, separated by commas. Can be repeated. Example: "
        "'results/lora-*'.",
    ),
]


def _patterns(only: list[str] | None) -> str | None:
    return None if only is None else ",".join(only)


@verb("plan", to=board, epilog="Example: cme board plan leaderboards/demo/board.yaml")
def plan(file: BoardYaml, work: Work = None, only: Only = None, as_json: Json = False) -> None:
    """List the steps of a board and their states.

    The last line estimates how long the unfinished steps will take. Nothing is run or written.
    """
    import cme

    planned = cme.plan_board(file, work=work, only=_patterns(only))
    if as_json:
        emit_json(_plain(planned))
        return
    rows = [[step.name, step.state, _number(step.rate), _minutes(step.seconds), step.detail] for step in planned.steps]
    show_table(["step", "state", "rate", "min:s", "detail"], rows)
    _summary(planned)


@verb("run", to=board, epilog="Example: cme board run leaderboards/demo/board.yaml --jobs 2")
def run(
    file: BoardYaml,
    work: Work = None,
    engine: Annotated[
        str, typer.Option("--engine", help="local: subprocesses of this machine; ray: tasks on a Ray cluster.")
    ] = "local",
    address: Annotated[
        str | None,
        typer.Option("--address", help="Address of a Ray cluster. Default: $RAY_ADDRESS, or a new one here."),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs", min=1, help="Most steps at a time. Default: one per GPU, or as many as the cores allow."
        ),
    ] = None,
    only: Only = None,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="Interrupt everything after the first failure.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run everything on a board that is not finished.

    All state lies in the folders of the steps. Run the same command again after an interruption to continue, with any
    engine. A step that another process works on is left to that process. A step that fails is reported at once, and the
    steps that do not need it go on. The exit code is 1 if a step failed.
    """
    import cme

    with announced(note):
        ran = cme.run_board(
            file, work=work, engine=engine, address=address, jobs=jobs, only=_patterns(only), fail_fast=fail_fast
        )
    if as_json:
        emit_json(asdict(ran) | {"out": str(ran.out), "extra_entries": [str(file) for file in ran.extra_entries]})
    else:
        _report(ran)
    if not ran.ok:
        raise typer.Exit(1)


def _report(ran: Any) -> None:
    for name, message in ran.failed.items():
        note(f"cme: {name}: {message}")
    if ran.blocked and ran.failed:
        note(f"{_counted(len(ran.blocked))} could not run. Run the same command again when the cause is removed.")
    elif ran.ok:
        did = f"{_counted(len(ran.done))} in {_minutes(ran.seconds)} min" if ran.done else "nothing was left to do"
        if ran.left:
            note(f"Board {ran.name}: {did}. {_counted(ran.left)} of the board {'is' if ran.left == 1 else 'are'} left.")
        else:
            note(f"Board {ran.name} is finished: {did}. Tables: {ran.out}")
    _note_extra_entries(ran.extra_entries)


def _note_extra_entries(entries: Sequence[Path]) -> None:
    """Say which files the tables show although no row of the board has their names."""
    for entry in entries:
        samples = entry.parent.parent / "samples" / f"{entry.stem}.*"
        note(f"The table shows {entry.stem}, which is no row of this board, until you remove {entry} and {samples}")


@verb("status", to=board, epilog="Example: cme board status leaderboards/demo/board.yaml")
def status(file: BoardYaml, work: Work = None, as_json: Json = False) -> None:
    """Show the progress of each row of a board.

    Running and failed steps are listed below the table. The command reads the folders only, so it works while the board is
    running, and without the engine.
    """
    import cme

    now = cme.board_status(file, work=work)
    if as_json:
        emit_json(_plain(now))
        return
    kinds = {
        "rate": "rates",
        "run": "runs",
        "result": "results",
        "analysis": "analyses",
        "export": "exports",
        "entry": "entry",
    }
    usual = ("rate", "run", "result", "entry")
    columns = [kind for kind in kinds if kind in usual or any(step.kind == kind for step in now.steps)]
    rows: dict[tuple[str, str], dict[str, list[str]]] = {}
    for step in now.steps:
        if step.row:
            rows.setdefault((step.base, step.row), {}).setdefault(step.kind, []).append(step.state)
    several = len({base for base, _ in rows if base}) > 1
    table = [
        [f"{row} ({base})" if several and base else row, *(_share(states.get(kind, [])) for kind in columns)]
        for (base, row), states in rows.items()
    ]
    show_table(["row", *(kinds[kind] for kind in columns)], table)
    others: dict[str, list[str]] = {}
    for step in now.steps:
        if not step.row:
            others.setdefault(step.kind, []).append(step.state)
    print("\n" + ", ".join(f"{kind}: {_share(states)}" for kind, states in others.items()))
    for step in now.steps:
        if step.state in ("running", "failed", "other", "unfinished"):
            note(f"{step.state}: {step.name}" + (f" ({step.detail})" if step.detail else ""))
    _summary(now)


@verb("commands", to=board, epilog="Example: cme board commands leaderboards/demo/board.yaml --stage 1")
def commands(
    file: BoardYaml,
    work: Work = None,
    stage: Annotated[
        int | None, typer.Option("--stage", min=1, help="Only the commands of this stage, one per line.")
    ] = None,
) -> None:
    """Print the shell commands of the unfinished steps.

    You can give them to a scheduler of your own. The commands of one stage need only those of earlier stages. The finished
    grids decide whether more rates are added, so print the commands again after the stages of the grids.
    """
    import cme

    for line in cme.board_commands(file, work=work, stage=stage):
        print(line)


@verb("tables", to=board, epilog="Example: cme board tables leaderboards/demo/board.yaml")
def tables(
    file: BoardYaml,
    work: Work = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing, and exit with 1 if tables are out of date.")
    ] = False,
) -> None:
    """Write the tables of the studies and of several bases.

    For each study, a table and a figure are written. For several bases, a table shows the order of the methods. This is the
    last step of a board. It reads the entries only.
    """
    import cme

    written = cme.board_tables(file, work=work, check=check)
    if check:
        if written:
            stale = "\n  ".join(map(str, written))
            note(f"cme: these files do not match the entries:\n  {stale}\nRun: cme board tables {file}")
            raise typer.Exit(1)
        note("All files are up to date.")
        return
    for path in written:
        note(f"Written: {path}")
    if not written:
        note("Nothing was written, because the board has one base and no studies.")


def _plain(planned: "BoardPlan") -> dict[str, Any]:
    texts = {
        "work": str(planned.work),
        "out": str(planned.out),
        "extra_entries": [str(file) for file in planned.extra_entries],
    }
    return asdict(planned) | texts | {"finished": planned.finished}


def _summary(planned: "BoardPlan") -> None:
    _note_extra_entries(planned.extra_entries)
    left = [step for step in planned.steps if step.state not in ("finished", "diverged", "not needed")]
    done = sum(step.state in ("finished", "diverged") for step in planned.steps)
    if not left:
        note(f"Board {planned.name} is finished ({done} steps).")
        return
    known = planned.estimate
    text = f"{done} of {done + len(left)} steps are finished."
    if known.hours:
        text += f" The others take about {_duration(known.hours)}, one step at a time, and {_size(known.bytes)} of disk space."
    if known.unknown:
        text += f" The time of {_counted(known.unknown)} is unknown until a step of the same kind is finished on the same base."
    note(f"{text}\nWork folder: {planned.work}. Tables: {planned.out}")


def _share(states: list[str]) -> str:
    wanted = [state for state in states if state != "not needed"]
    if not states:
        return ""
    done = sum(state in ("finished", "diverged") for state in states)
    return "not needed" if not wanted else f"{done}/{len(states)}"


def _counted(steps: int) -> str:
    return "1 step" if steps == 1 else f"{steps} steps"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _duration(hours: float) -> str:
    return f"{hours:.1f} hours" if hours >= 2 else f"{max(1, round(hours * 60))} min"


def _size(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{max(1, round(size / 2**20))} MiB"


def _minutes(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
