"""``cme score``: the numbers of a result, recomputed from its per-sample scores."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cme.cli.agreement import show_subsets
from cme.cli.app import emit_json, verb
from cme.cli.options import Json
from cme.cli.scores import show_scores
from cme.cli.tables import show_table

__all__ = ["score"]


@verb("score", epilog="Example: cme score results/x --explain")
def score(
    folder: Annotated[Path, typer.Argument(help="A folder that 'cme eval' wrote.")],
    explain: Annotated[bool, typer.Option("--explain", help="Print every formula with its numbers.")] = False,
    subsets: Annotated[
        bool, typer.Option("--subsets", help="Print accuracy and kappa per subset, such as MMLU's subjects.")
    ] = False,
    spread: Annotated[
        list[Path] | None,
        typer.Option(
            "--spread", help="The same model in other words ('cme eval --wording K'): how far the average moves."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Score a result again.

    From its per-sample scores: no model, no GPU.
    """
    import cme

    if spread:
        _show_spread([folder, *spread], as_json=as_json)
    elif subsets:
        show_subsets(folder, as_json=as_json)
    elif as_json:
        emit_json(cme.score(folder).plain())
    elif explain:
        print("\n".join(cme.explain_scores(folder)))
    else:
        show_scores(cme.score(folder))


def _show_spread(folders: list[Path], *, as_json: bool) -> None:
    """The average with every prompt variant, and how far they lie apart."""
    import cme

    averages, found = cme.prompt_sensitivity(folders)
    if as_json:
        emit_json({"averages": averages, **asdict(found), "range": found.range})
        return
    show_table(["wording", "CME average"], [[wording, f"{average:.2f}"] for wording, average in averages.items()])
    print(f"\nspread over paraphrases: standard deviation {found.std:.2f}, range {found.range:.2f} points")
