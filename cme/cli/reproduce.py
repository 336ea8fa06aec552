"""``cme reproduce``: train and evaluate a row of the leaderboard again, and compare."""

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
        typer.Option("--source", help="Source of the evaluation rows. Default: as recorded in the row."),
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", help="Device for the evaluation, such as cpu or cuda:1.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help="CPU threads. Default: as recorded in the row.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Train and evaluate a row again, and compare it with the row sample by sample.

    Run the same command again after an interruption to continue. The exit code is 0 if the result is identical or
    within the row's error bar, and 1 otherwise.
    """
    import cme

    found = cme.reproduce(
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
    _show(found.record, found.entry, out, as_json)
    if not found.ok:
        raise typer.Exit(1)


def _show(found: "Reproduction", entry: "Entry", out: Path, as_json: bool) -> None:
    if as_json:
        emit_json(found.plain() | {"verdict": found.verdict})
        return
    seeds = len(entry.runs)
    interval = "–" if found.low is None or found.high is None else f"{found.low:+.2f} to {found.high:+.2f}"
    rows = [
        ["the row" + (f", mean of {seeds} seeds" if seeds > 1 else ""), f"{found.row_average:.2f}"],
        ["again" + ("" if found.seed is None else f", seed {found.seed}"), f"{found.average:.2f}"],
        ["difference", f"{found.difference:+.2f}"],
        ["95 % interval", interval],
    ]
    if found.changed is not None:
        rows.append(["samples with another score", f"{found.changed} of {found.samples}"])
    if found.same_adapter is not None:
        rows.append(["adapter", "bitwise the same" if found.same_adapter else "not bitwise the same"])
    show_table(["CME average", ""], rows)
    if entry.settings and seeds == 1 and found.changed != 0:
        note("the row has one seed: what another seed changes is unknown, and not in the interval")
    note(f"{entry.name}: {found.verdict}. Written: {out / 'reproduction.json'}")
