"""``cme reproduce``: train and evaluate a row of a board again, and compare the results."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cme.cli.app import emit_json, note, verb
from cme.cli.options import Json, NewFolder
from cme.cli.tables import show_table

if TYPE_CHECKING:
    from cme.leaderboard.submission.reproduce import Reproduction
    from cme.records import Entry

__all__ = ["reproduce"]


@verb(
    "reproduce",
    epilog="Example: cme reproduce teamlora --entries leaderboards/demo/entries --data mix/ --out again/",
)
def reproduce(
    row: Annotated[str, typer.Argument(help="Name of the row.")],
    out: NewFolder,
    entries: Annotated[Path, typer.Option("--entries", help="Folder of the entries.")] = Path("leaderboards/entries"),
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
    as_json: Json = False,
) -> None:
    """Train and evaluate a row again, and compare the results.

    The comparison is made sample by sample. Run the same command again after an interruption to continue. The exit
    code is 0 if the result is identical or within the row's error bar, and 1 otherwise.
    """
    import cme

    reproduced = cme.reproduce(
        row,
        out,
        entries=entries,
        data=data,
        seed=seed,
        base=base,
        source=source,
        device=device,
        threads=threads,
    )
    _show(reproduced.record, reproduced.entry, out, as_json)
    if not reproduced.ok:
        raise typer.Exit(1)


def _show(reproduction: "Reproduction", entry: "Entry", out: Path, as_json: bool) -> None:
    if as_json:
        emit_json(reproduction.plain() | {"verdict": reproduction.verdict})
        return
    seeds = len(entry.runs)
    low, high = reproduction.low, reproduction.high
    interval = "–" if low is None or high is None else f"{low:+.2f} to {high:+.2f}"
    rows = [
        ["the row" + (f", mean of {seeds} seeds" if seeds > 1 else ""), f"{reproduction.row_average:.2f}"],
        [
            "reproduced" + ("" if reproduction.seed is None else f", seed {reproduction.seed}"),
            f"{reproduction.average:.2f}",
        ],
        ["difference", f"{reproduction.difference:+.2f}"],
        ["95 % interval", interval],
    ]
    if reproduction.changed is not None:
        rows.append(["samples with a different score", f"{reproduction.changed} of {reproduction.samples}"])
    if reproduction.same_adapter is not None:
        rows.append(["adapter", "bitwise identical" if reproduction.same_adapter else "not bitwise identical"])
    show_table(["CME average", ""], rows)
    if entry.settings and seeds == 1 and reproduction.changed != 0:
        note("The row has one seed, so the interval does not include the variation between seeds.")
    note(f"{entry.name}: {reproduction.verdict}. Written: {out / 'reproduction.json'}")
