"""``cme score``: recompute the numbers of a result from its per-sample scores."""

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
    prompt_variants: Annotated[
        list[Path] | None,
        typer.Option(
            "--prompt-variants",
            help="Result of the same model with another prompt variant; may be repeated.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Recompute the scores of a result.

    The scores are computed from the per-sample scores, without a model or a GPU.
    """
    import cme

    if prompt_variants:
        _show_sensitivity([folder, *prompt_variants], as_json=as_json)
    elif subsets:
        show_subsets(folder, as_json=as_json)
    elif as_json:
        emit_json(cme.score(folder).plain())
    elif explain:
        print("\n".join(cme.explain_scores(folder)))
    else:
        show_scores(cme.score(folder))


def _show_sensitivity(folders: list[Path], *, as_json: bool) -> None:
    """Print the average with every prompt variant, and the spread of the averages."""
    import cme
    from cme.suite.score import suite_of

    averages, spread = cme.prompt_sensitivity(folders)
    if as_json:
        emit_json({"averages": averages, **asdict(spread), "range": spread.range})
        return
    average_name = suite_of(cme.score(folders[0])).average
    show_table(["prompt variant", average_name], [[variant, f"{average:.2f}"] for variant, average in averages.items()])
    print(f"\nOver the prompt variants: standard deviation {spread.std:.2f}, range {spread.range:.2f} points")
