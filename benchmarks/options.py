"""Options that several benchmarks have."""

from typing import Annotated

import typer

__all__ = ["Device", "Dtype", "Rounds", "Threads"]

Dtype = Annotated[str, typer.Option("--dtype", help="float32, bfloat16 or float16.")]
Rounds = Annotated[int, typer.Option("--rounds", help="Number of rounds, in alternating order.")]
Device = Annotated[str | None, typer.Option("--device", help="Device to run on.")]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads.")]
