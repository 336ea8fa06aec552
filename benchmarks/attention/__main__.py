"""``python -m benchmarks.attention``: which form of attention trains fastest on this CPU in bfloat16."""

from dataclasses import asdict
from typing import Annotated

import typer

from cme.api.call import numbers
from cme.cli.app import emit_json, note, standalone
from cme.cli.options import Json
from cme.cli.tables import show_table

__all__ = ["app", "measure"]


def measure(
    lengths: Annotated[str, typer.Option("--lengths", help="Numbers of tokens.")] = "40,90,140,200,256,400",
    batch: Annotated[int, typer.Option("--batch", min=1, help="Number of examples.")] = 8,
    heads: Annotated[int, typer.Option("--heads", min=1, help="Number of heads.")] = 9,
    width: Annotated[int, typer.Option("--width", min=1, help="Width of a head.")] = 64,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Number of rounds.")] = 10,
    threads: Annotated[int, typer.Option("--threads", min=1, help="CPU threads.")] = 1,
    as_json: Json = False,
) -> None:
    """Measure forward and backward passes of causal attention: the fused kernel, the same in float32, and plain products.

    The defaults are the heads of SmolLM2-135M. A ratio below 1 is faster than the fused kernel in bfloat16. Nothing else should
    run on the machine.
    """
    from benchmarks.attention import FORMS, measure_length
    from cme.processes import threads_set

    with threads_set(threads):
        measured = [
            measure_length(length, batch=batch, heads=heads, width=width, rounds=rounds)
            for length in numbers("lengths", lengths)
        ]
    if as_json:
        emit_json([asdict(item) | {"ratios": item.ratios} for item in measured])
        return
    names = [name for name in FORMS if name != "fused"]
    rows = [
        [str(item.length), f"{1e3 * item.seconds['fused']:.1f}", *(f"{item.ratios[name]:.2f}" for name in names)]
        for item in measured
    ]
    show_table(["tokens", "fused, ms", *(f"{name} / fused" for name in names)], rows)
    note(
        f"\nMedian CPU times of a forward and a backward pass of one layer, {rounds} rounds, {threads} threads, bfloat16."
    )


app = standalone(measure, epilog="Example: python -m benchmarks.attention --lengths 90,200")

if __name__ == "__main__":
    app()
