"""``python -m benchmarks.passages``: compare evaluations that do and do not read shared passages once."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks.options import Device, Dtype, Rounds, Threads
from cme.api.call import names
from cme.cli.app import emit_json, note, standalone
from cme.cli.options import Base, Datasets, Json
from cme.cli.tables import show_table

if TYPE_CHECKING:
    from benchmarks.passages import Saving

_COLUMNS = [
    *(
        "dataset",
        "rows",
        "passages",
        "tokens without",
        "tokens with",
        "ratio",
        "positions ratio",
        "s without",
        "s with",
    ),
    *("time ratio", "largest gap", "decisions differ"),
]


def measure(
    base: Base = "smollm2-135m",
    share: Annotated[
        float, typer.Option("--share", min=0.001, max=1.0, help="Share of the generated passages.")
    ] = 0.01,
    source: Annotated[
        str | None,
        typer.Option("--source", help="Measure rows of hub, mini or a mirror folder instead of generated ones."),
    ] = None,
    rows: Annotated[int, typer.Option("--rows", help="Number of rows per dataset of --source.")] = 500,
    datasets: Datasets = "squad_v2,race,anli",
    tiny: Annotated[
        bool,
        typer.Option("--tiny", help="Count with a tiny random model instead of the base. The times have no meaning."),
    ] = False,
    dtype: Dtype = "float32",
    rounds: Rounds = 1,
    device: Device = None,
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Count tokens and measure times of evaluations with and without shared passages.

    The generated rows have as many questions per passage as the hub's evaluation splits. ``--share 1`` generates all of them.
    """
    from dataclasses import asdict

    from benchmarks.evaluation import EvalBenchSettings
    from benchmarks.passages import PASSAGES, measure_passages
    from cme.errors import unknown

    chosen = names(datasets) or tuple(PASSAGES)
    for name in chosen if source is None else ():
        if name not in PASSAGES:
            raise unknown("dataset with passages", name, tuple(PASSAGES))
    settings = EvalBenchSettings(
        base=base, source=source or "mini", rows=rows, dtype=dtype, rounds=rounds, device=device, threads=threads
    )
    with TemporaryDirectory(prefix="cme-passages-") as folder:
        savings = measure_passages(settings, chosen, share=None if source else share, folder=Path(folder), tiny=tiny)
    if as_json:
        emit_json([asdict(saving) | {"tokens_ratio": saving.tokens, "time_ratio": saving.time} for saving in savings])
        return
    show_table(_COLUMNS, [_row(saving) for saving in savings])
    note("\nBoth sides check themselves against plain passes once, and their counts include this check.")


def _row(saving: "Saving") -> list[str]:
    from benchmarks.evaluation.turns import agreement_cells, mean_cells

    return [
        saving.dataset,
        f"{saving.rows:,}",
        f"{saving.passages:,}",
        f"{saving.without.tokens:,}",
        f"{saving.shared.tokens:,}",
        f"{saving.tokens:.2f}",
        f"{saving.without.positions / saving.shared.positions:.2f}",
        *mean_cells(saving),
        f"{saving.time:.2f}",
        *agreement_cells(saving.agreement),
    ]


app = standalone(measure, epilog="Example: python -m benchmarks.passages --share 1 --tiny")

if __name__ == "__main__":
    app()
