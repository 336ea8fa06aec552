"""``python -m benchmarks.vision_language``: text evaluations of a LLaVA relative to its language model alone."""

from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks.options import Device, Dtype, Rounds, Threads
from cme.api.call import names
from cme.cli.app import emit_json, note, standalone
from cme.cli.options import Base, Datasets, Json, SourceName
from cme.cli.tables import show_table

if TYPE_CHECKING:
    from benchmarks.vision_language import Overhead

_COLUMNS = ["dataset", "rows", "tokens", "tokens as LLaVA", "s", "s as LLaVA", "time ratio", "largest gap", "differ"]


def measure(
    base: Base = "smollm2-135m",
    source: SourceName = "mini",
    rows: Annotated[int, typer.Option("--rows", help="Number of rows per dataset.")] = 64,
    datasets: Datasets = "qqp,squad_v2,mmlu",
    dtype: Dtype = "float32",
    rounds: Rounds = 3,
    device: Device = None,
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Measure the same text rows with a language model alone and with a LLaVA that has its weights."""
    import statistics
    from dataclasses import asdict

    from benchmarks.evaluation import EvalBenchSettings
    from benchmarks.vision_language import measure_overhead

    costs = measure_overhead(
        EvalBenchSettings(
            base=base,
            source=source,
            rows=rows,
            datasets=names(datasets),
            dtype=dtype,
            rounds=rounds,
            device=device,
            threads=threads,
        )
    )
    if as_json:
        emit_json([asdict(cost) | {"time_ratio": cost.ratio} for cost in costs])
        return
    show_table(_COLUMNS, [_row(cost) for cost in costs])
    whole = [sum(cost.seconds[turn][1] for cost in costs) for turn in range(rounds)]
    alone = [sum(cost.seconds[turn][0] for cost in costs) for turn in range(rounds)]
    ratio = statistics.median(one / other for one, other in zip(whole, alone, strict=True))
    note(f"\nAll datasets: {ratio:.3f} times the time of the language model alone (median of {rounds} rounds).")


def _row(cost: "Overhead") -> list[str]:
    from benchmarks.evaluation.turns import agreement_cells, mean_cells

    return [
        cost.dataset,
        f"{cost.rows:,}",
        f"{cost.alone.tokens:,}",
        f"{cost.whole.tokens:,}",
        *mean_cells(cost),
        f"{cost.ratio:.3f}",
        *agreement_cells(cost.agreement),
    ]


app = standalone(measure, epilog="Example: python -m benchmarks.vision_language --threads 2 --rounds 5")

if __name__ == "__main__":
    app()
