"""``python -m benchmarks.gpu OUT``: combine the measurements of ``benchmarks/gpu.sh`` into one JSON file and one table."""

from pathlib import Path
from typing import Annotated

import typer

from cme.cli.app import note, standalone


def gpu(
    folder: Annotated[Path, typer.Argument(help="Output folder of benchmarks/gpu.sh.")],
) -> None:
    """Combine the measurements of benchmarks/gpu.sh into gpu.json and gpu.md."""
    from benchmarks.gpu.report import combine, markdown
    from cme.files import write_json, write_text

    measured = combine(folder)
    text = markdown(measured)
    write_text(folder / "gpu.md", text)
    write_json(folder / "gpu.json", measured)
    print(text)
    note(f"Written: {folder / 'gpu.json'}, {folder / 'gpu.md'}")


app = standalone(gpu, epilog="Example: python -m benchmarks.gpu OUT")

if __name__ == "__main__":
    app()
