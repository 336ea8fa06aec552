"""``python -m benchmarks.sparsity``: from which rank on a form that computes the chosen experts only would be faster."""

from dataclasses import asdict
from typing import Annotated

import typer

from cme.api.call import numbers
from cme.cli.app import emit_json, note, standalone
from cme.cli.options import Json
from cme.cli.tables import show_table

__all__ = ["app", "measure"]

LAYERS = {"SmolLM2-135M": (576, 1536), "Llama-2-7B": (4096, 11008)}
"""Inputs and outputs of an up projection."""


def measure(
    ranks: Annotated[str, typer.Option("--ranks", help="Ranks of an expert.")] = "8,32,128",
    tokens: Annotated[str, typer.Option("--tokens", help="Numbers of tokens.")] = "1,64,1024",
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Number of rounds.")] = 20,
    backward: Annotated[bool, typer.Option("--backward", help="Measure training, with the backward pass.")] = False,
    threads: Annotated[int, typer.Option("--threads", min=1, help="CPU threads.")] = 1,
    as_json: Json = False,
) -> None:
    """Measure the adapter's part of one layer: the chosen experts only, against all experts in two products.

    Two of eight experts are chosen, as in MoLA, and 8 of 8 × rank single ranks, as in FlyLoRA. A ratio below 1 means that
    computing the chosen part only is faster. Nothing else should run on the machine.
    """
    from benchmarks.sparsity import Case, measure_case
    from cme.processes import threads_set

    cases = [
        Case(kind, *LAYERS[layer], total, chosen, rank if kind == "experts" else 1, count, backward)
        for layer in LAYERS
        for count in numbers("tokens", tokens)
        for rank in numbers("ranks", ranks)
        for kind, total, chosen in (("experts", 8, 2), ("ranks", 8 * rank, 8))
    ]
    with threads_set(threads):
        measured = [measure_case(case, rounds=rounds) for case in cases]
    if as_json:
        emit_json([asdict(item) for item in measured])
        return
    rows: dict[tuple[str, int, int], dict[str, str]] = {}
    for item in measured:
        case = item.case
        layer = next(name for name, size in LAYERS.items() if size == (case.inputs, case.outputs))
        row = rows.setdefault((layer, case.tokens, case.total * case.rank), {})
        row[case.kind] = f"{item.ratio:.2f}"
        row[f"{case.kind} share"] = f"{100 * item.dense / item.layer:.0f} %"
    columns = ["layer", "tokens", "total rank", "2 of 8 experts", "8 ranks", "all / frozen layer"]
    table = [
        [layer, f"{count:,}", str(total), row["experts"], row["ranks"], row["experts share"]]
        for (layer, count, total), row in rows.items()
    ]
    show_table(columns, table)
    clock = "CPU time of one thread" if threads == 1 else f"wall time of {threads} threads"
    note(f"\nRatios of the chosen part to all, medians of {rounds} rounds, {clock}, float32.")


app = standalone(measure, epilog="Example: python -m benchmarks.sparsity --ranks 8,32,128 --tokens 1,1024")

if __name__ == "__main__":
    app()
