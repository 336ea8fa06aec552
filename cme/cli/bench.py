"""``cme bench``: what methods and mixes cost, measured side by side."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cme.cli.app import app, emit_json, note, verb
from cme.cli.options import Base, Json
from cme.cli.tables import show_table

if TYPE_CHECKING:
    from cme.bench.data import DataReport

__all__ = ["adapters", "data"]

bench = typer.Typer(help="Measure what methods and mixes cost.", no_args_is_help=True)
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


@verb("data", to=bench, epilog="Example: cme bench data --share 0.01 --share 0.1 --compare")
def data(
    share: Annotated[
        list[float] | None,
        typer.Option("--share", help="Share of the full size, 0.005 to 1; may be repeated. Default: 0.01."),
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes of every run.")] = 2,
    compare: Annotated[
        bool, typer.Option("--compare", help="In turns with a plain pipeline of datasets and a gate over Python sets.")
    ] = False,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Times that everything is run.")] = 1,
    mirror: Annotated[
        Path | None, typer.Option("--mirror", help="Folder for the generated rows, used again. Default: in the cache.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Keep report.json and the mixes in this folder. Default: nothing is kept."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Time build-data on generated rows.

    The rows have the columns, numbers and lengths of all 22 datasets; making them is not timed. With and without the gate: wall
    time and peak memory of all processes.
    """
    from contextlib import nullcontext
    from tempfile import TemporaryDirectory

    from cme.bench.data import measure_data
    from cme.env import cache_dir
    from cme.files import write_json

    mirrors = mirror or cache_dir() / "bench-data"
    mirrors.mkdir(parents=True, exist_ok=True)
    with nullcontext(out) if out else TemporaryDirectory(dir=mirrors, prefix=".mixes-") as folder:
        report = measure_data(
            share or [0.01], mirrors, Path(folder), workers=workers, rounds=rounds, compare=compare, say=note
        )
    if out:
        write_json(out / "report.json", report.to_dict())
    if as_json:
        emit_json(report.to_dict())
        return
    _show(report)


def _show(report: "DataReport") -> None:
    columns = ["share", "rows", "what", "seconds", "s per million rows", "peak GB", "without files GB"]
    rows = [
        [
            f"{t.share:.1%}",
            f"{t.rows:,}",
            t.kind,
            f"{t.seconds:.1f}",
            f"{1e6 * t.seconds / t.rows:.0f}",
            f"{t.peak / 1e9:.2f}",
            f"{t.own / 1e9:.2f}",
        ]
        for t in report.timings
    ]
    show_table(columns, rows)
    for name, ratio in report.mix_ratios.items():
        note(f"{name}: build-data --no-gate is {ratio:.1f} x as fast as the datasets pipeline")
    for name, ratio in report.gate_ratios.items():
        note(f"{name}: the gate is {ratio:.1f} x as fast as over Python sets")
    for name, right in report.planted_found.items():
        more = report.more_found[name]
        besides = f"and {more:,} rows more that chance made alike" if more else "and nothing else"
        note(f"{name}: the planted duplicates and leaks were {f'all found, {besides}' if right else 'NOT found'}")
    for name, same in report.same_found.items():
        note(f"{name}: both gates found {'the same' if same else 'DIFFERENT'} numbers of rows")
    libraries = ", ".join(f"{name} {number}" for name, number in report.versions.items())
    note(f"{report.hardware}, {report.cpus} CPUs, {report.workers} processes, {report.rounds} rounds; {libraries}")
