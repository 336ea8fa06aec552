"""``python -m benchmarks.training``: compare ``cme train`` with TRL's `SFTTrainer`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.options import Threads
from cme.api.call import names
from cme.cli.app import emit_json, note, standalone
from cme.cli.options import Base, Json, SourceName
from cme.cli.tables import show_table


def measure(
    base: Base = "smollm2-135m",
    source: SourceName = "mini",
    steps: Annotated[int, typer.Option("--steps", help="Optimiser steps. The mix has steps × batch size rows.")] = 50,
    batch_size: Annotated[int, typer.Option("--batch-size", help="Rows per step.")] = 8,
    max_length: Annotated[int, typer.Option("--max-length", help="Most tokens of a row.")] = 512,
    rank: Annotated[int, typer.Option("--rank", help="Rank of LoRA on the feed-forward projections.")] = 32,
    dtype: Annotated[str, typer.Option("--dtype", help="bfloat16 or float32.")] = "bfloat16",
    rounds: Annotated[int, typer.Option("--rounds", help="Every side trains once per round.")] = 3,
    threads: Threads = None,
    sides: Annotated[
        str | None,
        typer.Option("--sides", help="Comma-separated: cme, trl, trl-padded, trl-grouped, trl-packed. Default: all."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for report.json and table.md.")] = None,
    as_json: Json = False,
) -> None:
    """Measure cme train and TRL's SFTTrainer side by side.

    Both train the same LoRA on the same rows, in turns. The table shows tokens per second without padding and peak memory. TRL is
    needed: pip install -c constraints.txt trl
    """
    from benchmarks.training.run import measure_training
    from benchmarks.training.settings import SIDES, TrainBenchSettings
    from benchmarks.training.table import cost_rows, legend, machine, markdown
    from cme.files import write_json, write_text

    settings = TrainBenchSettings(
        base=base,
        source=source,
        steps=steps,
        batch_size=batch_size,
        max_length=max_length,
        rank=rank,
        dtype=dtype,
        rounds=rounds,
        threads=threads,
        sides=names(sides) or tuple(SIDES),
    )
    report = measure_training(settings, command=("python", "-m", "benchmarks.training", *sys.argv[1:]))
    if out:
        write_json(out / "report.json", report.to_dict())
        write_text(out / "table.md", markdown(report))
    if as_json:
        emit_json(report.to_dict())
        return
    show_table(*cost_rows(report))
    note(f"\n{legend(report)}\n{machine(report)}")


app = standalone(
    measure, epilog="Example: python -m benchmarks.training --steps 50 --rounds 6 --threads 2 --out costs/"
)

if __name__ == "__main__":
    app()
