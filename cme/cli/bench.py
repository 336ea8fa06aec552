"""``cme bench``: what methods and mixes cost, measured side by side."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cme.cli.app import app, emit_json, note, verb
from cme.cli.options import Base, Datasets, Json, SourceName, names
from cme.cli.tables import show_table
from cme.errors import UsageError

if TYPE_CHECKING:
    from cme.bench.adapters import AdapterReport
    from cme.bench.data import DataReport
    from cme.bench.evaluate import EvalReport

__all__ = ["adapters", "data", "evaluate"]

bench = typer.Typer(help="Measure what methods, mixes and evaluations cost.", no_args_is_help=True)
app.add_typer(bench, name="bench")


@verb("adapters", to=bench, epilog="Example: cme bench adapters --experts 2,4,8 --out costs/")
def adapters(
    base: Annotated[
        str,
        typer.Option(
            "--base",
            help="Base model: hub id, folder, or smollm2-135m; with random weights: chinese-llama-2-7b, or a config.json.",
        ),
    ] = "smollm2-135m",
    methods: Annotated[
        str | None, typer.Option("--methods", help="Comma-separated: base, lora, teamlora, … Default: all.")
    ] = None,
    experts: Annotated[str, typer.Option("--experts", help="Comma-separated numbers of experts.")] = "4",
    total_rank: Annotated[
        int, typer.Option("--total-rank", help="Rank of every whole adapter; one of k experts has 1/k of it.")
    ] = 32,
    forms: Annotated[
        str, typer.Option("--forms", help="Methods with experts as CME runs them (fused), expert by expert (loop).")
    ] = "fused,loop",
    modes: Annotated[
        str, typer.Option("--modes", help="Comma-separated: train, prefill, decode.")
    ] = "train,prefill,decode",
    rounds: Annotated[int, typer.Option("--rounds", help="Measured rounds; in each, every case runs once.")] = 20,
    warmup: Annotated[int, typer.Option("--warmup", help="Rounds before them that are not counted.")] = 3,
    batch: Annotated[int, typer.Option("--batch", help="Rows per step.")] = 4,
    train_length: Annotated[int, typer.Option("--train-length", help="Tokens per row of a training step.")] = 128,
    answer_tokens: Annotated[
        int, typer.Option("--answer-tokens", help="How many of them are the answer that is learned.")
    ] = 8,
    infer_length: Annotated[int, typer.Option("--infer-length", help="Tokens of the prompt.")] = 256,
    decode_tokens: Annotated[int, typer.Option("--decode-tokens", help="Tokens per timing of decode.")] = 8,
    target_modules: Annotated[
        str | None,
        typer.Option("--target-modules", help="Comma-separated layer names. Default: the feed-forward projections."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the order, the tokens and the adapters' weights.")] = 0,
    dtype: Annotated[str, typer.Option("--dtype", help="float32, bfloat16 or float16.")] = "float32",
    device: Annotated[str | None, typer.Option("--device", help="Where to run.")] = None,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Also write report.json, table.md, ratios.svg and ratios.png here.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure what adapters cost.

    Training step, prefill, decode, operations, peak memory and parameters, on one base in one process, in turns; ratios to
    LoRA of equal total rank and to the base, beside the paper's figures.
    """
    from dataclasses import asdict

    from cme.bench.adapters import BenchSettings, Reported, measure_adapters
    from cme.leaderboard.rendering.paper import load_paper

    settings = BenchSettings(
        methods=names(methods) or (),
        experts=_numbers("--experts", experts),
        total_rank=total_rank,
        forms=names(forms) or (),
        modes=names(modes) or (),
        rounds=rounds,
        warmup=warmup,
        batch=batch,
        train_length=train_length,
        answer_tokens=answer_tokens,
        infer_length=infer_length,
        decode_tokens=decode_tokens,
        target_modules=names(target_modules),
        seed=seed,
    )
    figures = [
        Reported(**{key: value for key, value in asdict(cost).items() if key != "reported"})
        for cost in load_paper().costs
    ]

    import torch

    from cme.bench.adapters.base import open_base

    if threads:
        torch.set_num_threads(threads)
    model, weights = open_base(base, dtype=dtype, device=device, seed=seed)
    report = measure_adapters(model, settings, reported=figures, weights=weights, command=("cme", *sys.argv[1:]))
    if out:
        _keep(report, out)
    if as_json:
        emit_json(report.to_dict())
        return
    _show_costs(report)


def _numbers(option: str, text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise UsageError(f"{option} takes whole numbers, such as 2,4,8, found {text!r}.") from None


def _keep(report: "AdapterReport", out: Path) -> None:
    from cme.bench.adapters.plot import save
    from cme.bench.adapters.table import markdown
    from cme.files import write_json, write_text

    write_json(out / "report.json", report.to_dict())
    write_text(out / "table.md", markdown(report))
    if report.ratios:
        for name in ("ratios.svg", "ratios.png"):
            save(report, out / name)


def _show_costs(report: "AdapterReport") -> None:
    from cme.bench.adapters.table import cost_rows, legend, machine, reported_rows

    show_table(*cost_rows(report))
    if report.reported:
        print("\nBeside the paper's figures, which are reported, not measured here:\n")
        show_table(*reported_rows(report))
    note(f"\n{legend(report)}\n{machine(report.surroundings)}")


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


@verb(
    "eval", to=bench, epilog="Example: cme bench eval --source mini --rows 16 --datasets qqp,race,squad_v2 --out costs/"
)
def evaluate(
    base: Base = "smollm2-135m",
    adapter: Annotated[
        Path | None, typer.Option("--adapter", help="Adapter folder. Default: the base model itself.")
    ] = None,
    source: SourceName = "hub",
    rows: Annotated[int, typer.Option("--rows", help="Rows of each dataset.")] = 32,
    datasets: Datasets = None,
    dtype: Annotated[str, typer.Option("--dtype", help="float32, bfloat16 or float16.")] = "float32",
    rounds: Annotated[int, typer.Option("--rounds", help="Times that both answer everything.")] = 1,
    batch_sizes: Annotated[
        str | None,
        typer.Option(
            "--batch-sizes", help="That lm-eval tries; the best is taken. Default: 1,4,8,16, on a GPU 8,16,32,64."
        ),
    ] = None,
    device: Annotated[str | None, typer.Option("--device", help="Where to run.")] = None,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Also write report.json, table.md, costs.svg and costs.png here.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure lm-eval and CME's engine side by side.

    Same model, same rows, one process: times, what was computed, whether the answers agree, peak memory, and how time grows with
    rows and options. lm-eval gets its best batch size.
    """
    from cme.bench.evaluate import EvalBenchSettings, measure_evaluation

    settings = EvalBenchSettings(
        base=base,
        adapter=str(adapter) if adapter else None,
        source=source,
        rows=rows,
        datasets=names(datasets),
        dtype=dtype,
        rounds=rounds,
        batch_sizes=_numbers("--batch-sizes", batch_sizes or ""),
        device=device,
        threads=threads,
    )
    report = measure_evaluation(settings, command=("cme", *sys.argv[1:]))
    if out:
        _keep_evaluation(report, out)
    if as_json:
        emit_json(report.to_dict())
        return
    _show_evaluation(report)


def _keep_evaluation(report: "EvalReport", out: Path) -> None:
    from cme.bench.evaluate.plot import save
    from cme.bench.evaluate.table import markdown
    from cme.files import write_json, write_text

    write_json(out / "report.json", report.to_dict())
    write_text(out / "table.md", markdown(report))
    for name in ("costs.svg", "costs.png"):
        save(report, out / name)


def _show_evaluation(report: "EvalReport") -> None:
    from cme.bench.adapters.table import machine
    from cme.bench.evaluate.table import cost_rows, growth_rows, memory_note, memory_rows, notes, total_rows, work_rows

    for table in (cost_rows(report), total_rows(report), work_rows(report)):
        show_table(*table)
        print()
    if report.growth:
        print(f"Growth on {report.growth[0].dataset}; options are made up of words of the prompts:\n")
        show_table(*growth_rows(report))
    if report.memory:
        print(f"\nPeak memory: {memory_note(report)}:\n")
        show_table(*memory_rows(report))
    note("\n" + "\n".join([*notes(report), machine(report.surroundings)]))
