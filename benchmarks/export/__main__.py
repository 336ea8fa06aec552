"""``python -m benchmarks.export``: memory and time of the export ``fit``."""

from typing import Annotated

import typer

from cme.cli.app import emit_json, note, standalone
from cme.cli.options import Json
from cme.cli.tables import show_table

_MIB = 2**20


def measure(
    sizes: Annotated[str, typer.Option("--inputs", help="Numbers of inputs of the measured layers.")] = "688,1376,2752",
    tokens: Annotated[int, typer.Option("--tokens", min=1, help="Random tokens of each measured layer.")] = 8192,
    experts: Annotated[int, typer.Option("--experts", min=1, help="Number of experts.")] = 4,
    rank: Annotated[int, typer.Option("--rank", min=1, help="Rank of each expert.")] = 8,
    as_json: Json = False,
) -> None:
    """Compute the memory of whole models, and measure single layers whose shapes are those of a 7B model divided by 4 to 16.

    The time of a layer grows with the square of its inputs for the sums, and with the cube for the solution.
    """
    from dataclasses import asdict

    from benchmarks.export.run import measure_shape
    from benchmarks.export.shapes import MODELS, plan_of
    from cme.api.call import numbers

    plans = {name: plan_of(*shape, columns=experts * rank) for name, shape in MODELS.items()}
    measured = [measure_shape(size, max(1, size * 4 // 11), experts, rank, tokens) for size in numbers("inputs", sizes)]
    if as_json:
        emit_json(
            {
                "computed": {name: asdict(plan) for name, plan in plans.items()},
                "measured": [asdict(item) for item in measured],
            }
        )
        return
    show_table(
        ["base", "largest layer, MiB", "all layers, GiB", "passes", "peak, GiB"],
        [
            [name, f"{of.largest / _MIB:,.0f}", f"{of.total / 2**30:.1f}", str(of.passes), f"{of.peak / 2**30:.1f}"]
            for name, of in plans.items()
        ],
    )
    note("")
    show_table(
        ["inputs", "tokens", "sums, MiB", "measured peak, MiB", "sums, s", "solution, s", "loss / mean"],
        [
            [
                f"{item.inputs:,}",
                f"{item.tokens:,}",
                f"{item.state / _MIB:,.1f}",
                f"{item.peak / _MIB:,.1f}",
                f"{item.sum_seconds:.2f}",
                f"{item.solve_seconds:.2f}",
                f"{item.loss:.3f}",
            ]
            for item in measured
        ],
    )
    note("\nThe measured peak includes a batch of tokens in float64 and the factor of XᵀX.")


app = standalone(measure, epilog="Example: python -m benchmarks.export --inputs 688,2752 --tokens 4096")

if __name__ == "__main__":
    app()
