"""``cme submit``: a result and its run become a row of the leaderboard."""

from pathlib import Path
from typing import Annotated

import typer

from cme.cli.app import note, verb

__all__ = ["submit"]


@verb("submit", epilog="Example: cme submit results/x --run runs/x --entries leaderboards/entries")
def submit(
    result: Annotated[Path, typer.Argument(help="A folder that 'cme eval' wrote.")],
    run: Annotated[
        Path | None, typer.Option("--run", help="The folder that 'cme train' wrote (not for a base).")
    ] = None,
    entries: Annotated[Path, typer.Option("--entries", help="Where entries are kept.")] = Path("leaderboards/entries"),
    name: Annotated[str | None, typer.Option("--name", help="Name of the row. Default: the result's.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite an entry of the same name.")] = False,
) -> None:
    """Make a leaderboard entry.

    Every number is first recomputed from the per-sample scores.
    """
    from cme.leaderboard.submit import make_entry

    entry = make_entry(result, run, entries, name=name, replace=replace)
    note(f"entry {entry.name}: CME average {entry.scores.average:.2f}, written to {entries / (entry.name + '.json')}")
