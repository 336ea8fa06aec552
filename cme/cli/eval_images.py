"""``cme eval-images``: evaluate a vision-language model on questions about images."""

from pathlib import Path
from typing import Annotated

import typer

from cme.cli.app import emit_json, note, verb
from cme.cli.options import Json
from cme.cli.tables import show_table

__all__ = ["eval_images"]

_EXAMPLES = """Examples:

cme eval-images --base llava-hf/llava-1.5-7b-hf --out images/llava

cme eval-images --base llava-hf/llava-1.5-7b-hf --adapter runs/llava-team --source SCIENCEQA --out images/team"""


@verb("eval-images", epilog=_EXAMPLES)
def eval_images(
    base: Annotated[str, typer.Option("--base", help="Vision-language base: hub id or folder, with its processor.")],
    out: Annotated[Path, typer.Option("--out", help="Output folder: new, or this command's own unfinished work.")],
    adapter: Annotated[
        str | None, typer.Option("--adapter", help="Adapter folder or hub id. Default: the base.")
    ] = None,
    source: Annotated[
        str,
        typer.Option(
            "--source",
            help="mini (synthetic pictures), or a folder of Parquet files: image, question, answer, choices unless yes or no.",
        ),
    ] = "mini",
    rows: Annotated[int, typer.Option("--rows", help="Maximum number of rows; the first rows are used.")] = 400,
    name: Annotated[
        str | None, typer.Option("--name", help="Name in tables. Default: name of the adapter's folder or of the base.")
    ] = None,
    dtype: Annotated[str, typer.Option("--dtype", help="Data type: float32, bfloat16, float16 or auto.")] = "auto",
    device: Annotated[
        str | None, typer.Option("--device", help="Device, such as cpu or cuda:1. Default: a GPU if available.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help="CPU threads. Default: chosen by PyTorch.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Evaluate a vision-language model on images.

    The multiple-choice questions are apart from the suite and belong to no average. The processor of the base makes the prompt.
    The option whose letter is most likely is the answer. Run the same command again after an interruption to continue.
    """
    import cme

    result = cme.evaluate_images(
        out,
        base=base,
        adapter=adapter,
        source=source,
        rows=rows,
        name=name,
        dtype=dtype,
        device=device,
        threads=threads,
    )
    if as_json:
        emit_json(result.plain())
        return
    table = [
        [skill, f"{score.n:,}", f"{100 * score.value:.2f}", "", f"{100 * score.chance:.2f}"]
        for skill, score in result.skills.items()
    ]
    error = "" if result.stderr is None else f"{100 * result.stderr:.2f}"
    table.append(["all", f"{result.n:,}", f"{100 * result.value:.2f}", error, f"{100 * result.chance:.2f}"])
    show_table(["skill", "questions", "right (%)", "±", "chance (%)"], table)
    if result.without_image:
        rows_were = "row without an image was" if result.without_image == 1 else "rows without an image were"
        note(f"{result.without_image:,} {rows_were} skipped.")
    if result.adapter is not None and not result.adapter.changes_output:
        note("The adapter does not change the output of the base. Check that it was trained on this base.")
    note(f"Written: {out}")
