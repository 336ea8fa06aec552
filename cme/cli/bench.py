"""``cme bench``: the cost of methods, measured side by side."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cme.cli.app import app, emit_json, note, verb
from cme.cli.options import Json
from cme.cli.tables import show_table

if TYPE_CHECKING:
    from cme.bench.adapters import AdapterReport

__all__ = ["adapters"]

bench = typer.Typer(help="Measure the cost of methods.", no_args_is_help=True)
app.add_typer(bench, name="bench")


@verb("adapters", to=bench, epilog="Example: cme bench adapters --experts 2,4,8 --out costs/")
def adapters(
    base: Annotated[
        str,
        typer.Option(
            "--base",
            help="Hub id, folder or smollm2-135m. Random weights: chinese-llama-2-7b, config.json.",
        ),
    ] = "smollm2-135m",
    methods: Annotated[
        str | None,
        typer.Option("--methods", help="Comma-separated: base, lora, teamlora, teamlora:gate_sum=1, … Default: all."),
    ] = None,
    experts: Annotated[str, typer.Option("--experts", help="Comma-separated numbers of experts.")] = "4",
    total_rank: Annotated[
        int, typer.Option("--total-rank", help="Total rank of each adapter; k experts have rank 1/k of it each.")
    ] = 32,
    forms: Annotated[
        str, typer.Option("--forms", help="Implementations of methods with experts: fused, loop (expert by expert).")
    ] = "fused,loop",
    modes: Annotated[
        str, typer.Option("--modes", help="Comma-separated: train, prefill, decode.")
    ] = "train,prefill,decode",
    rounds: Annotated[
        int, typer.Option("--rounds", help="Number of measured rounds; every case runs once per round.")
    ] = 20,
    warmup: Annotated[int, typer.Option("--warmup", help="Number of warm-up rounds that are not counted.")] = 3,
    batch: Annotated[int, typer.Option("--batch", help="Rows per step.")] = 4,
    train_length: Annotated[int, typer.Option("--train-length", help="Tokens per row of a training step.")] = 128,
    answer_tokens: Annotated[
        int, typer.Option("--answer-tokens", help="Answer tokens per row of a training step.")
    ] = 8,
    infer_length: Annotated[
        int, typer.Option("--infer-length", help="Tokens of the prompt in prefill and decode.")
    ] = 256,
    decode_tokens: Annotated[int, typer.Option("--decode-tokens", help="Generated tokens per timing of decode.")] = 8,
    target_modules: Annotated[
        str | None,
        typer.Option("--target-modules", help="Comma-separated layer names. Default: the feed-forward projections."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the order, the tokens and the adapters' weights.")] = 0,
    dtype: Annotated[str, typer.Option("--dtype", help="float32, bfloat16 or float16.")] = "float32",
    device: Annotated[
        str | None, typer.Option("--device", help="Device, such as cpu or cuda:1. Default: a GPU if available.")
    ] = None,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Also write report.json, table.md, ratios.csv, .svg and .png here.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure time and memory of adapter methods.

    Measures training steps, prefill, decode, operations, peak memory and parameters. All methods run in turns on one
    base in one process. Prints ratios to LoRA of equal total rank and to the base, beside the paper's figures.
    """
    import cme

    report = cme.bench_adapters(
        base=base,
        methods=methods,
        experts=experts,
        total_rank=total_rank,
        forms=forms,
        modes=modes,
        rounds=rounds,
        warmup=warmup,
        batch=batch,
        train_length=train_length,
        answer_tokens=answer_tokens,
        infer_length=infer_length,
        decode_tokens=decode_tokens,
        target_modules=target_modules,
        seed=seed,
        dtype=dtype,
        device=device,
        threads=threads,
        out=out,
    )
    if as_json:
        emit_json(report.to_dict())
        return
    _show_costs(report)


def _show_costs(report: "AdapterReport") -> None:
    from cme.bench.adapters.table import cost_rows, legend, machine, reported_rows

    show_table(*cost_rows(report))
    if report.reported:
        print("\nFigures that the paper reports (they were not measured here):\n")
        show_table(*reported_rows(report))
    note(f"\n{legend(report)}\n{machine(report.surroundings)}")
