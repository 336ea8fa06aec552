"""``cme import-lm-eval``: make a result from lm-eval's own logs."""

from pathlib import Path
from typing import Annotated

import typer

from cme.cli.app import emit_json, note, verb
from cme.cli.options import Json
from cme.cli.scores import show_scores

__all__ = ["import_lm_eval"]


@verb("import-lm-eval", epilog="Example: cme import-lm-eval lm-eval-output/ --source mini --out results/x")
def import_lm_eval(
    folder: Annotated[Path, typer.Argument(help="Folder of lm-eval's --output_path, written with --log_samples.")],
    out: Annotated[Path, typer.Option("--out", help="Output folder for the result: new, or empty.")],
    source: Annotated[
        str | None,
        typer.Option("--source", help="Source of the rows. Default: from the logs, else CME_DATA_SOURCE or hub."),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Name in tables. Default: the model's name.")] = None,
    as_json: Json = False,
) -> None:
    """Make a CME result from lm-eval's logs.

    The logs may come from any backend of lm-eval and must be those of cme_* tasks. Every row is compared with the
    source's row, and every score is recomputed from the logged answers.
    """
    import cme

    result = cme.from_lm_eval(folder, out=out, source=source, name=name)
    if as_json:
        emit_json(result.record.plain())
        return
    show_scores(result.scores)
    if unknown := [item.dataset for item in result.scores.datasets if "truncated" not in item.diagnostics]:
        note(
            f"It is unknown how many answers of {', '.join(unknown)} were truncated at the token limit, because the tokenizer of "
            f"{result.record.base} is not in a folder on this machine. Import the logs where it is to count them."
        )
    if any("cut" not in item.diagnostics for item in result.scores.datasets):
        note(
            f"It is unknown how many prompts were longer than the context of {result.record.base}, because its folder is not on "
            "this machine."
        )
    note("The result records that the base is identified by its name and lm-eval's hash only.")
    note(f"Written: {out / 'result.json'}, {out / 'samples.parquet'}")
