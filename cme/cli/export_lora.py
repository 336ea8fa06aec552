"""``cme export-lora``: convert a MoSLoRA adapter to plain LoRA."""

from pathlib import Path
from typing import Annotated

import typer

from cme.cli.app import verb

__all__ = ["export_lora"]


@verb("export-lora", epilog="Example: cme export-lora runs/moslora --out runs/moslora-as-lora")
def export_lora(
    adapter: Annotated[Path, typer.Argument(help="Folder of a MoSLoRA adapter.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the LoRA adapter: new, or empty.")],
) -> None:
    """Convert a MoSLoRA adapter to plain LoRA.

    The new adapter has the same outputs, and PEFT loads it without CME.
    """
    import cme

    cme.export_lora(adapter, out)
    print(f"LoRA adapter: {out}")
