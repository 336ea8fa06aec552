"""``cme bench``: what methods cost, measured side by side."""

from pathlib import Path
from typing import Annotated

import typer

from cme.cli.app import app, emit_json, note, verb
from cme.cli.options import Base, Json
from cme.cli.tables import show_table

__all__ = ["adapters"]

bench = typer.Typer(help="Measure what methods cost.", no_args_is_help=True)
app.add_typer(bench, name="bench")


@verb("adapters", to=bench, epilog="Example: cme bench adapters --rank 8 --experts 4 --pairs 20")
def adapters(
    base: Base = "smollm2-135m",
    rank: Annotated[int, typer.Option("--rank", help="Rank of one expert; LoRA gets rank × experts.")] = 8,
    experts: Annotated[int, typer.Option("--experts", help="Number of experts.")] = 4,
    pairs: Annotated[int, typer.Option("--pairs", help="Measured pairs per mode.")] = 20,
    batch: Annotated[int, typer.Option("--batch", help="Rows per step.")] = 4,
    train_length: Annotated[int, typer.Option("--train-length", help="Tokens per row of a training step.")] = 128,
    infer_length: Annotated[int, typer.Option("--infer-length", help="Tokens of the prompt.")] = 256,
    form: Annotated[
        str, typer.Option("--form", help="TeamLoRA as CME runs it (fused) or expert by expert (loop).")
    ] = "fused",
    modes: Annotated[
        str, typer.Option("--modes", help="Comma-separated: train, prefill, decode.")
    ] = "train,prefill,decode",
    dtype: Annotated[str, typer.Option("--dtype", help="float32, bfloat16 or float16.")] = "float32",
    device: Annotated[str | None, typer.Option("--device", help="Where to run.")] = None,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Also write the report as JSON to this file.")] = None,
    as_json: Json = False,
) -> None:
    """Time TeamLoRA against LoRA.

    At equal total rank: training step, prefill and decode, in turns in one process; the median of the pairs' ratios.
    """
    import torch

    from cme.bench.pair import Setup, measure_pair
    from cme.files import write_json
    from cme.models.load import load_model, resolve_base

    if threads:
        torch.set_num_threads(threads)
    model = load_model(resolve_base(base), dtype=dtype, device=device)
    setup = Setup(
        rank=rank,
        experts=experts,
        pairs=pairs,
        batch=batch,
        train_length=train_length,
        infer_length=infer_length,
        form=form,
    )
    report = measure_pair(model, setup, tuple(name.strip() for name in modes.split(",")))
    if out:
        write_json(out, report.to_dict())
    if as_json:
        emit_json(report.to_dict())
        return
    columns = ["mode", "TeamLoRA / LoRA", "quartiles", "TeamLoRA ms", "LoRA ms", "pairs"]
    rows = [
        [
            r.mode,
            f"{r.ratio:.3f}",
            f"{r.low:.3f} – {r.high:.3f}",
            f"{1e3 * r.teamlora:.1f}",
            f"{1e3 * r.lora:.1f}",
            r.pairs,
        ]
        for r in report.ratios
    ]
    show_table(columns, rows)
    note(
        f"{report.hardware}, {report.threads} threads, {report.dtype}, torch {report.torch}; "
        f"rank {rank} × {experts} experts against LoRA of rank {rank * experts}"
    )
