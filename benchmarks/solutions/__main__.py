"""``python -m benchmarks.solutions``: compare the generated tokens with and without the early stop of solutions."""

from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks.options import Device, Dtype, Rounds, Threads
from cme.api.call import names
from cme.cli.app import emit_json, note, standalone
from cme.cli.options import Base, Datasets, Json
from cme.cli.tables import show_table

if TYPE_CHECKING:
    from benchmarks.solutions import Saving

_COLUMNS = ["dataset", "rows", "tokens without", "tokens with", "ratio", "shortened", "same number", "time ratio"]


def measure(
    base: Base = "smollm2-135m",
    adapter: Annotated[str | None, typer.Option("--adapter", help="Adapter folder. Default: the base itself.")] = None,
    source: Annotated[str, typer.Option("--source", help="hub, mini or a mirror folder.")] = "mini:graded",
    rows: Annotated[int, typer.Option("--rows", help="Number of rows per dataset.")] = 32,
    datasets: Datasets = "gsm8k",
    dtype: Dtype = "float32",
    rounds: Rounds = 1,
    device: Device = None,
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Count the generated tokens of solutions with and without the early stop, and compare their final numbers.

    An adapter that was trained on worked solutions ends them itself, so the stop saves most for bases and few-shot rows.
    """
    from dataclasses import asdict

    from benchmarks.evaluation import EvalBenchSettings
    from benchmarks.solutions import measure_solutions

    settings = EvalBenchSettings(
        base=base,
        adapter=adapter,
        source=source,
        rows=rows,
        datasets=names(datasets),
        dtype=dtype,
        rounds=rounds,
        device=device,
        threads=threads,
    )
    savings = measure_solutions(settings)
    if as_json:
        emit_json([asdict(saving) | {"tokens_ratio": saving.tokens, "time_ratio": saving.time} for saving in savings])
        return
    show_table(_COLUMNS, [_row(saving) for saving in savings])
    note("\nBoth sides check themselves against plain passes once.")


def _row(saving: "Saving") -> list[str]:
    return [
        saving.dataset,
        f"{saving.rows:,}",
        f"{saving.without:,}",
        f"{saving.stopped:,}",
        f"{saving.tokens:.2f}",
        f"{saving.ended:,}",
        f"{saving.same:,} of {saving.rows:,}",
        f"{saving.time:.2f}",
    ]


app = standalone(measure, epilog="Example: python -m benchmarks.solutions --adapter runs/x --rows 64")

if __name__ == "__main__":
    app()
