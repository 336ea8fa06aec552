"""``python -m benchmarks.mix``: measure ``cme build-data`` at full size, optionally against plain pipelines."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cme.cli.app import emit_json, note, standalone
from cme.cli.options import Json
from cme.cli.tables import show_table

if TYPE_CHECKING:
    from benchmarks.mix import DataReport


def measure(
    share: Annotated[
        list[float] | None,
        typer.Option("--share", help="Share of the full size, from 0.005 to 1. Repeatable. Default: 0.01."),
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Number of processes of every run.")] = 2,
    compare: Annotated[
        bool,
        typer.Option(
            "--compare", help="Also run a pipeline of Hugging Face datasets and a decontamination with Python sets."
        ),
    ] = False,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Number of rounds.")] = 1,
    mirror: Annotated[
        Path | None,
        typer.Option("--mirror", help="Folder of the generated rows, which are reused. Default: in the cache."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for report.json and the mixes. Default: nothing is kept."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure the time of build-data on generated rows.

    The rows have the columns, numbers and lengths of all 22 datasets. The time to generate them is not included. The table shows
    the wall time and the peak memory of all processes, with and without decontamination.
    """
    from contextlib import nullcontext
    from tempfile import TemporaryDirectory

    from benchmarks.mix import measure_data
    from cme.env import cache_dir
    from cme.files import write_json

    mirrors = mirror or cache_dir() / "bench-data"
    mirrors.mkdir(parents=True, exist_ok=True)
    with nullcontext(out) if out else TemporaryDirectory(dir=mirrors, prefix=".mixes-") as folder:
        report = measure_data(
            share or [0.01], mirrors, Path(folder), workers=workers, rounds=rounds, compare=compare, say=note
        )
    if out:
        write_json(out / "report.json", report.to_dict())
    if as_json:
        emit_json(report.to_dict())
        return
    _show(report)


def _show(report: "DataReport") -> None:
    columns = ["share", "rows", "what", "seconds", "s per million rows", "peak GB", "without files GB"]
    rows = [
        [
            f"{t.share:.1%}",
            f"{t.rows:,}",
            t.kind,
            f"{t.seconds:.1f}",
            f"{1e6 * t.seconds / t.rows:.0f}",
            f"{t.peak / 1e9:.2f}",
            f"{t.own / 1e9:.2f}",
        ]
        for t in report.timings
    ]
    show_table(columns, rows)
    for name, ratio in report.mix_ratios.items():
        note(f"{name}: build-data --no-decontamination is {ratio:.1f} times as fast as the datasets pipeline.")
    for name, ratio in report.decontamination_ratios.items():
        note(f"{name}: decontamination is {ratio:.1f} times as fast as with Python sets.")
    for name, right in report.planted_found.items():
        more = report.more_found[name]
        further = f"Decontamination also removed {more:,} rows that match an evaluation row by chance." if more else ""
        detected = "All" if right else "NOT all"
        note(f"{name}: {detected} planted duplicates and leaks were detected. {further}".rstrip())
    for name, same in report.same_found.items():
        note(f"{name}: Both decontaminations detected {'the same' if same else 'DIFFERENT'} numbers of rows.")
    libraries = ", ".join(f"{name} {number}" for name, number in report.versions.items())
    note(f"{report.hardware}, {report.cpus} CPUs, {report.workers} processes, {report.rounds} rounds, {libraries}")


app = standalone(measure, epilog="Example: python -m benchmarks.mix --share 0.01 --share 0.1 --compare")

if __name__ == "__main__":
    app()
