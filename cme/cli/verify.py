"""``cme verify``: check a mix against its manifest."""

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

    verified = cme.verify_mix(folder)
    if as_json:
        from dataclasses import asdict

        emit_json({"mix": str(folder), "ok": not verified.problems, **asdict(verified)})
    else:
        for line in verified.problems:
            print(f"differs: {line}")
        for line in verified.notes:
            print(f"note: {line}")
        rows = ", ".join(f"{count:,} {split} rows" for split, count in verified.rows.items())
        note(f"{folder}: {verified.files} files, {verified.size / 1e6:,.1f} MB, {rows}")
    if verified.problems:
        number = len(verified.problems)
        note(
            f"cme: the mix differs from its manifest in {number} point{'s' if number > 1 else ''}. "
            "Copy it again, or build it again."
        )
        raise typer.Exit(1)
    if not as_json:
        note("The mix matches its manifest.")
