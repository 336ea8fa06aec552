"""``cme ids``: write which rows a mix or an evaluation has, without their text."""

from pathlib import Path
from typing import Annotated

import typer

from cme.cli.app import emit_json, note, verb
from cme.cli.options import Json

__all__ = ["ids"]

_EXAMPLES = """Examples:

cme ids mix/ --out mix-ids.parquet

cme build-data --source hub --ids mix-ids.parquet --out again/

cme ids leaderboards/demo/entries/lora.json --out ids.parquet"""


@verb("ids", epilog=_EXAMPLES)
def ids(
    place: Annotated[
        Path, typer.Argument(help="A mix, a training run (its mix), a result, or an entry (entries/NAME.json).")
    ],
    out: Annotated[
        Path,
        typer.Option("--out", help="Parquet file to write. It replaces an earlier file of row ids, and no other file."),
    ],
    as_json: Json = False,
) -> None:
    """Write the row ids of a mix or of an evaluation.

    The file has no text of a dataset. With it, cme build-data --ids and cme eval --ids use the same rows from any source that
    has them.
    """
    import cme

    written = cme.write_ids(place, out)
    if as_json:
        emit_json({"file": str(written.file), "rows": written.rows})
        return
    counts = ", ".join(f"{count:,} {split} rows" for split, count in written.rows.items())
    note(f"Written: {out} ({counts})")
