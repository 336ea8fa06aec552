"""``cme verify``: does a mix still hold what its manifest says?"""

from pathlib import Path
from typing import Annotated

import typer

from cme.cli.app import emit_json, note, verb
from cme.cli.options import Json

__all__ = ["verify"]


@verb("verify", epilog="Example: cme verify mix/")
def verify(
    folder: Annotated[Path, typer.Argument(help="A folder that 'cme build-data' wrote.")],
    as_json: Json = False,
) -> None:
    """Check a mix against its manifest.

    Checks hashes, row counts, and missing and unknown files. The exit code is 1 if something differs.
    """
    import cme

    found = cme.verify_mix(folder)
    if as_json:
        from dataclasses import asdict

        emit_json({"mix": str(folder), "ok": not found.problems, **asdict(found)})
    else:
        for line in found.problems:
            print(f"differs: {line}")
        for line in found.notes:
            print(f"note: {line}")
        rows = ", ".join(f"{count:,} {split} rows" for split, count in found.rows.items())
        note(f"{folder}: {found.files} files, {found.size / 1e6:,.1f} MB, {rows}")
    if found.problems:
        number = len(found.problems)
        note(
            f"cme: {number} difference{'s' if number > 1 else ''} from the manifest. Copy the mix again, or build it again."
        )
        raise typer.Exit(1)
    if not as_json:
        note("everything is as the manifest says")
