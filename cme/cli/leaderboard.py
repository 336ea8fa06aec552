"""``cme leaderboard``: write the tables and the page of a board from its entries."""

from pathlib import Path
from typing import Annotated

import typer

from cme.cli.app import emit_json, note, verb
from cme.cli.options import Json
from cme.errors import UsageError, unknown

__all__ = ["leaderboard"]

_EXAMPLES = """Examples:

cme leaderboard --entries leaderboards/entries --out leaderboards/

cme leaderboard verify leaderboards/entries"""


@verb("leaderboard", epilog=_EXAMPLES)
def leaderboard(
    what: Annotated[
        str | None,
        typer.Argument(
            help="verify recomputes every number from the per-sample scores. Default: render.",
            show_default=False,
        ),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="ENTRIES", help="With verify: folder of the entries.", show_default=False),
    ] = None,
    entries: Annotated[Path, typer.Option("--entries", help="Folder of the entries.")] = Path("leaderboards/entries"),
    out: Annotated[
        Path, typer.Option("--out", help="Output folder for leaderboard.md, .json, .csv and index.html.")
    ] = Path("leaderboards"),
    form: Annotated[
        str, typer.Option("--format", help="Format of the printed tables: md, csv (main table), latex or json.")
    ] = "md",
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing, and exit with 1 if files are out of date.")
    ] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Verify every entry before rendering.")] = False,
    as_json: Json = False,
) -> None:
    """Render a leaderboard, or verify its entries.

    Writes the tables and the page, and prints the tables. With 'verify' the exit code is 0 if every number follows
    from the per-sample scores, and 1 otherwise.
    """
    if what is not None:
        if what != "verify":
            raise unknown("argument of leaderboard", what, ["verify"])
        _verify(folder or entries, as_json=as_json)
        return
    if as_json:
        raise UsageError("--json works only with 'cme leaderboard verify'. For the tables as JSON, give --format json.")
    import cme

    rendered = cme.render_board(entries, out, form=form, check=check, verify=verify)
    if rendered.stale:
        note(
            "cme: these files do not match the entries:\n  "
            + "\n  ".join(rendered.stale)
            + f"\nRun: cme leaderboard --entries {entries} --out {out}"
        )
        raise typer.Exit(1)
    if check:
        note("All files are up to date.")
        return
    print(rendered.text, end="")
    for path in rendered.written:
        note(f"Written: {path}")


def _verify(entries: Path, *, as_json: bool) -> None:
    from dataclasses import asdict

    import cme

    verdicts = cme.verify_board(entries)
    if as_json:
        emit_json([asdict(verdict) for verdict in verdicts])
    else:
        for verdict in verdicts:
            print(f"{'ok' if verdict.ok else 'REFUSED'}  {verdict.name}: {verdict.message}")
        if not verdicts:
            note(f"{entries} holds no entries, so nothing was verified.")
    if not all(verdict.ok for verdict in verdicts):
        raise typer.Exit(1)
