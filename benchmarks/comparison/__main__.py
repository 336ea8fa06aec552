"""``python -m benchmarks.comparison``: measure ``cme compare`` on results of tier full."""

from pathlib import Path
from typing import Annotated

import typer

from cme.cli.app import emit_json, note, standalone
from cme.cli.options import Json
from cme.cli.tables import show_table


def measure(
    methods: Annotated[int, typer.Option("--methods", min=2, help="Number of methods.")] = 2,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Number of seeds of each method.")] = 3,
    share: Annotated[
        float, typer.Option("--share", min=0.001, max=1, help="Share of the published samples of each dataset.")
    ] = 1.0,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Number of rounds.")] = 1,
    results: Annotated[
        Path | None,
        typer.Option("--results", help="Folder of the generated results, which are reused. Default: in the cache."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for report.json.")] = None,
    as_json: Json = False,
) -> None:
    """Measure the time and the memory of cme compare on generated results.

    The results have the published numbers of samples and clusters of all 22 datasets. The time to generate them is not included.
    """
    from benchmarks.comparison import measure_comparison
    from cme.env import cache_dir
    from cme.files import write_json

    folder = results or cache_dir() / "bench-comparison"
    report = measure_comparison(folder, methods=methods, seeds=seeds, share=share, rounds=rounds, say=note)
    if out:
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / "report.json", report.to_dict())
    if as_json:
        emit_json(report.to_dict())
        return
    show_table(
        ["case", "samples", "seconds", "peak GB"],
        [[item.case, f"{item.samples:,}", f"{item.seconds:.1f}", f"{item.peak / 1e9:.2f}"] for item in report.timings],
    )
    note(f"{report.hardware}, {methods} methods × {seeds} seeds, {rounds} rounds")


app = standalone(measure, epilog="Example: python -m benchmarks.comparison --rounds 3")

if __name__ == "__main__":
    app()
