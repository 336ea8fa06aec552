"""``cme leaderboard``: entries → markdown."""

from pathlib import Path
from typing import Annotated

import typer

from cme.cli.app import note, verb

__all__ = ["leaderboard"]


@verb("leaderboard", epilog="Example: cme leaderboard --entries leaderboards/entries --out leaderboards/")
def leaderboard(
    entries: Annotated[Path, typer.Option("--entries", help="Where entries are kept.")] = Path("leaderboards/entries"),
    out: Annotated[Path, typer.Option("--out", help="Where leaderboard.md and leaderboard.json go.")] = Path(
        "leaderboards"
    ),
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 if the files are not what the entries give.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="First recompute every number of every entry from its per-sample scores.")
    ] = False,
) -> None:
    """Write and print the leaderboard."""
    from cme.leaderboard.recompute import verify as recompute
    from cme.leaderboard.write import is_stale, write_leaderboard

    if verify:
        recompute(entries)
    if check:
        stale = is_stale(entries, out)
        if stale:
            note(
                "cme: not what the entries give:\n  "
                + "\n  ".join(stale)
                + f"\nRun: cme leaderboard --entries {entries} --out {out}"
            )
            raise typer.Exit(1)
        note("up to date")
        return
    for path in write_leaderboard(entries, out):
        if path.suffix == ".md":
            print(path.read_text(encoding="utf-8"))
        note(f"written: {path}")
