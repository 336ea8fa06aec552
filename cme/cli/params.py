"""``cme params``: count the parameters of an adapter without loading weights."""

from typing import Annotated

import typer

from cme.cli.adapter_options import Given, adapter_options
from cme.cli.app import emit_json, note, verb
from cme.cli.options import Base, Json
from cme.cli.tables import show_table
from cme.errors import UsageError

__all__ = ["params"]

_BASE = "smollm2-135m"


@verb("params", epilog="Example: cme params --base chinese-llama-2-7b --method teamlora --rank 16 --experts 4")
@adapter_options
def params(
    base: Base = _BASE,
    *,
    adapter: Given,
    match_params: Annotated[
        str | None,
        typer.Option(
            "--match-params",
            metavar="BUDGET",
            help="Find the largest rank within a budget: 1.35% (of the base), 95000000 or lora:128.",
        ),
    ] = None,
    paper: Annotated[
        bool, typer.Option("--paper", help="Show the paper's rows: counted, by formula, and as reported.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Count an adapter's parameters.

    No weights are loaded, so --base may also be a config.json or the built-in shape chinese-llama-2-7b.
    """
    if paper:
        if adapter or match_params or base != _BASE:
            raise UsageError(
                "--paper uses the rows and the base of the paper. Give it without other options, except --json."
            )
        _paper(as_json)
        return
    import cme

    parameters = (
        cme.count_parameters(base=base, **adapter)
        if match_params is None
        else cme.match_rank(match_params, base=base, **adapter)
    )
    if as_json:
        emit_json(parameters.to_dict())
        return
    count = parameters.count
    show_table(["module", "trainable"], [[name, f"{number:,}"] for name, number in count.per_module.items()])
    print(f"\nbase {count.total_base:,} · trainable {count.trainable:,} · share {count.share_percent:.2f} %")
    if match_params is not None:
        print(f"rank {parameters.settings.rank} is the largest rank that does not exceed {match_params}")


def _paper(as_json: bool) -> None:
    """Print the paper's rows with their share of parameters: counted, by formula, and as the paper reports it."""
    import cme
    from cme.leaderboard.rendering.paper import load_paper

    rows, paper = cme.paper_parameters(), load_paper()
    if as_json:
        emit_json(rows)
        return
    cells = [
        [
            f"{value:,}" if key == "trainable" else f"{round(value, 2) + 0:.2f}" if isinstance(value, float) else value
            for key, value in row.items()
            if key != "base_parameters"
        ]
        for row in rows
    ]
    show_table(["method", "rank", "experts", "trainable", "built %", "formula %", "paper %", "difference"], cells)
    note(f"Base: {paper.base}, {paper.adapted}. Shares are of its {rows[0]['base_parameters']:,} parameters.")
