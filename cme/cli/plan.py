"""``cme plan``: seeds and samples that decide a difference."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cme.cli.app import emit_json, note, verb
from cme.cli.options import Json
from cme.cli.tables import show_table

if TYPE_CHECKING:
    from cme.api.plan import Plan

__all__ = ["plan"]

_EXAMPLES = """Examples:

cme plan --difference 2 --power 80 --entries leaderboards/demo/entries

cme plan lora=results/lora-0,results/lora-1 teamlora=results/team-0,results/team-1 --plot plan.svg"""


@verb("plan", epilog=_EXAMPLES)
def plan(
    pilot: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SIDE",
            help="Pilot: results or entries of two or more methods; NAME=A,B,C for the seeds of one method.",
        ),
    ] = None,
    difference: Annotated[float, typer.Option("--difference", help="Difference to detect, in points.")] = 1.0,
    power: Annotated[float, typer.Option("--power", help="Probability of detecting it, in percent.")] = 80.0,
    entries: Annotated[
        Path | None,
        typer.Option("--entries", help="Entries of a board as the pilot. Default: the demo board of a checkout."),
    ] = None,
    training_hours: Annotated[
        float | None, typer.Option("--training-hours", help="Hours to train one run. Default: as in the pilot.")
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option("--budget", help="Hours for both methods; prints the best seeds and samples for them."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Figure to write (.svg or .png); needs matplotlib.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Plan the seeds and samples of a comparison.

    The variances come from a pilot. The table shows what detects the difference between two methods:
    for 1 to 10 seeds of each, the samples of each dataset, and tokens and hours for both together.
    """
    import cme

    made = cme.plan(
        pilot or None, difference=difference, power=power, entries=entries, training_hours=training_hours, budget=budget,
        plot=plot,
    )  # fmt: skip
    if as_json:
        emit_json(made.plain())
    else:
        _show(made)
    if plot is not None:
        note(f"Written: {plot}")


def _show(made: "Plan") -> None:
    planned = made.planned
    rows = []
    for item in planned.splits:
        unknown = "more than all" if item.each is None else ""
        rows.append(
            [
                item.seeds,
                "two adapters" if item.seeds == 1 else "methods",
                unknown or f"{item.each:,}",
                "" if item.samples is None else f"{item.samples:,}",
                "" if item.tokens is None else f"{item.tokens / 1e6:.2f}",
                "" if item.hours is None else f"{item.hours:.1f}",
                f"{item.detectable:.2f}",
            ]
        )
    show_table(
        [
            "seeds",
            "compares",
            "samples per dataset",
            "samples per run",
            "million tokens",
            "hours",
            "all samples detect",
        ],
        rows,
    )
    for text in made.notes:
        print(f"\n{text}")
