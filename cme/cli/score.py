"""``cme score``: the numbers of a result, recomputed from its per-sample scores."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cme.cli.app import emit_json, verb
from cme.cli.options import Json
from cme.cli.scores import show_scores

__all__ = ["score"]


@verb("score", epilog="Example: cme score results/x --explain")
def score(
    folder: Annotated[Path, typer.Argument(help="A folder that 'cme eval' wrote.")],
    explain: Annotated[bool, typer.Option("--explain", help="Print every formula with its numbers.")] = False,
    as_json: Json = False,
) -> None:
    """Score a result again.

    From its per-sample scores: no model, no GPU.
    """
    from cme.records import Result, read_record
    from cme.records.samples import read_samples
    from cme.suite.score import aggregate
    from cme.suite.score import explain as lines

    result = read_record(folder / "result.json", Result)
    scores = aggregate(read_samples(folder / "samples.parquet"), tier=result.tier)
    if as_json:
        emit_json(asdict(scores))
    elif explain:
        print("\n".join(lines(scores)))
    else:
        show_scores(scores)
