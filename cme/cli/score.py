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
    from cme.records import Result, read_record
    from cme.records.samples import read_samples
    from cme.suite.score import aggregate
    from cme.suite.score import explain as lines

    if spread:
        _show_spread([folder, *spread], as_json=as_json)
        return
    if subsets:
        show_subsets(folder, as_json=as_json)
        return
    result = read_record(folder / "result.json", Result)
    scores = aggregate(read_samples(folder / "samples.parquet"), tier=result.tier)
    if as_json:
        emit_json(scores.plain())
    elif explain:
        print("\n".join(lines(scores)))
    else:
        show_scores(scores)


def _show_spread(folders: list[Path], *, as_json: bool) -> None:
    """The average in every wording, and how far they lie apart."""
    from cme.leaderboard.ranking.prompt_variants import read_wordings
    from cme.stats import prompt_sensitivity

    averages = {item.result.wording: item.result.scores.average for item in read_wordings(folders)}
    found = prompt_sensitivity(list(averages.values()))
    if as_json:
        emit_json({"averages": averages, **asdict(found), "range": found.range})
        return
    show_table(["wording", "CME average"], [[wording, f"{average:.2f}"] for wording, average in averages.items()])
    print(f"\nspread over paraphrases: standard deviation {found.std:.2f}, range {found.range:.2f} points")
