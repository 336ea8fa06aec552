"""``cme reproduce``: list the steps that made a board, or train and evaluate one of its rows again."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cme.cli.app import emit_json, note, verb
from cme.cli.options import Json, RunCode
from cme.cli.tables import show_table
from cme.errors import UsageError

if TYPE_CHECKING:
    from cme.leaderboard.submission.reproduce import Reproduction
    from cme.records import Entry

__all__ = ["reproduce"]


_EXAMPLES = """Examples:

cme reproduce leaderboards/demo

cme reproduce leaderboards/demo teamlora --data mix/ --out again/

cme reproduce teamlora --entries leaderboards/demo/entries --data mix/ --out again/"""


@verb(
    "reproduce",
    epilog=_EXAMPLES,
)
def reproduce(
    board: Annotated[
        str, typer.Argument(metavar="BOARD|ROW", help="Folder of a board; or a row of the folder in --entries.")
    ],
    row: Annotated[
        str | None, typer.Argument(metavar="ROW", help="Row to run again. Default: list the steps of the board.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Output folder: new, or this command's own unfinished work.")
    ] = None,
    entries: Annotated[
        Path | None, typer.Option("--entries", help="Folder of the entries. Default: leaderboards/entries.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder of the row's training mix (not for a base).")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Seed of the training. Default: the row's first seed.")
    ] = None,
    base: Annotated[
        str | None, typer.Option("--base", help="Base model on this machine. Default: as recorded in the row.")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--source",
            help="Source of the evaluation rows; those of another source are taken by their ids. Default: as recorded.",
        ),
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", help="Device for the evaluation, such as cpu or cuda:1.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help="CPU threads. Default: as recorded in the row.")
    ] = None,
    run_code: RunCode = None,
    as_json: Json = False,
) -> None:
    """Repeat a row of a board, or list the steps of all.

    With a board alone, every committed number is listed with the step that made it and its command line, with all settings
    that the entries record. A comment names those that they do not record. With a row, that row is trained and evaluated
    again with its recorded settings, and the results are compared sample by sample. Run the same command again after an
    interruption to continue. The exit code is 0 if the result is identical or within the row's error bar, and 1 otherwise.
    """
    import cme

    if row is None and entries is None and out is None and _is_board(Path(board)):
        _show_steps(Path(board), as_json)
        return
    if row is not None and entries is not None:
        raise UsageError("--entries cannot be combined with a board and a row. Leave it out.")
    if out is None:
        raise UsageError("--out is missing. Name the folder for the new run and its result.")
    reproduced = cme.reproduce(
        board if row is None else row,
        out,
        entries=Path(board) if row is not None else entries or Path("leaderboards/entries"),
        data=data,
        seed=seed,
        base=base,
        source=source,
        device=device,
        threads=threads,
        run_code=run_code,
    )
    _show(reproduced.record, reproduced.entry, out, as_json)
    if not reproduced.ok:
        raise typer.Exit(1)


def _is_board(folder: Path) -> bool:
    return (folder / "entries").is_dir() or (folder.is_dir() and any(folder.glob("*.json")))


def _show_steps(board: Path, as_json: bool) -> None:
    import cme

    steps = cme.board_steps(board)
    if as_json:
        emit_json([asdict(step) for step in steps])
        return
    for step in steps:
        remark = f"# {step.remark}\n" if step.remark else ""
        print(f"# {step.row + ', ' if step.row else ''}{step.numbers}\n{remark}{step.command}\n")
    if (board / "board.yaml").is_file():
        note(f"{board / 'board.yaml'} describes the whole board, for 'cme board'.")
    note(f"{len(steps)} steps. Run one row again with: cme reproduce {board} ROW --out DIR")


def _show(reproduction: "Reproduction", entry: "Entry", out: Path, as_json: bool) -> None:
    from cme.suite.score import suite_of

    if as_json:
        emit_json(reproduction.plain() | {"verdict": reproduction.verdict})
        return
    seeds = len(entry.runs)
    low, high = reproduction.low, reproduction.high
    interval = "–" if low is None or high is None else f"{low:+z.2f} to {high:+z.2f}"
    rows = [
        ["the row" + (f", mean of {seeds} seeds" if seeds > 1 else ""), f"{reproduction.row_average:.2f}"],
        [
            "reproduced" + ("" if reproduction.seed is None else f", seed {reproduction.seed}"),
            f"{reproduction.average:.2f}",
        ],
        ["difference", f"{reproduction.difference:+z.2f}"],
        ["95 % interval", interval],
    ]
    if reproduction.changed is not None:
        rows.append(["samples with a different score", f"{reproduction.changed} of {reproduction.samples}"])
    if reproduction.same_adapter is not None:
        rows.append(["adapter", "bitwise identical" if reproduction.same_adapter else "not bitwise identical"])
    show_table([suite_of(entry.scores).average, ""], rows)
    if entry.settings and seeds == 1 and reproduction.changed != 0:
        note("The row has one seed, so the interval does not include the variation between seeds.")
    note(f"{entry.name}: {reproduction.verdict}. Written: {out / 'reproduction.json'}")
