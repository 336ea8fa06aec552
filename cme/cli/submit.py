"""``cme submit``: make a row of a board from results and their runs."""

from pathlib import Path
from typing import Annotated

import typer

from cme.cli.app import note, verb

__all__ = ["submit"]

_EXAMPLES = """Examples:

cme submit results/team --run runs/team

cme submit results/team --run runs/team --analysis analysis/team

cme submit results/base

cme submit results/x --run runs/x --entries leaderboards/entries

cme submit --name x --bench costs/ --entries leaderboards/entries

cme submit results/lora-0 results/lora-1 results/lora-2 --run runs/lora-0 --run runs/lora-1 --run runs/lora-2 --grid grid/lora"""


@verb("submit", epilog=_EXAMPLES)
def submit(
    results: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="RESULT…",
            help="Result folders of 'cme eval', one per seed. Without any, --bench replaces the costs of the entry --name.",
        ),
    ] = None,
    run: Annotated[
        list[Path] | None,
        typer.Option("--run", help="Run folder of 'cme train'; may be repeated. Not for a base."),
    ] = None,
    entries: Annotated[Path, typer.Option("--entries", help="Folder of the entries.")] = Path("leaderboards/entries"),
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the row. Default: name of the results without the seed.")
    ] = None,
    grid: Annotated[
        Path | None, typer.Option("--grid", help="Folder of 'cme train --lr-grid' that chose the learning rate.")
    ] = None,
    bench: Annotated[
        Path | None, typer.Option("--bench", help="Folder of 'cme bench adapters --out' with the method's costs.")
    ] = None,
    prompt_variants: Annotated[
        list[Path] | None,
        typer.Option(
            "--prompt-variants", help="Result of one of these models with another prompt variant; may be repeated."
        ),
    ] = None,
    analysis: Annotated[
        list[Path] | None,
        typer.Option("--analysis", help="Folder of 'cme analyse' of one of these adapters; may be repeated."),
    ] = None,
    export: Annotated[
        list[Path] | None,
        typer.Option(
            "--export", help="Folder of 'cme export-lora --measure' of one of these adapters; may be repeated."
        ),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace an existing entry of the same name.")] = False,
    card: Annotated[
        bool, typer.Option("--card/--no-card", help="Write the scores into the adapters' cards (README.md in --run).")
    ] = True,
) -> None:
    """Make a leaderboard entry from results and runs.

    An entry is one method, trained with one seed or several. The run of each result is found by its adapter, so the
    order does not matter. Every number is first recomputed from the per-sample scores.

    With --name and --bench alone, the measured costs of an existing entry are replaced.
    """
    import cme

    submitted = cme.submit(
        results or (),
        run=run,
        entries=entries,
        name=name,
        grid=grid,
        bench=bench,
        prompt_variants=prompt_variants,
        analysis=analysis,
        export=export,
        replace=replace,
        card=card,
    )
    from cme.suite import datasets
    from cme.suite.score import suite_of

    entry = submitted.entry
    runs = f" over {len(entry.runs)} seeds" if len(entry.runs) > 1 else ""
    suite = suite_of(entry.scores)
    whole = datasets(suite.name)
    counted = sum(item.dataset in whole for item in entry.scores.datasets)
    part = "" if entry.scores.complete else f" ({counted} of {len(whole)} datasets)"
    note(
        f"Entry {entry.name} has a {suite.average} of {entry.scores.average:.2f}{runs}{part}. Written: {submitted.file}"
    )
    for line in submitted.notes:
        note(line)
