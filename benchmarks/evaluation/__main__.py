"""``python -m benchmarks.evaluation``: compare the cost of lm-eval and of CME's engine."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks.options import Device, Dtype, Threads
from cme.api.call import names, numbers
from cme.bench.adapters.memory import out_of_memory_reported
from cme.cli.app import emit_json, note, standalone
from cme.cli.options import Base, Datasets, Json, SourceName
from cme.cli.tables import show_table

if TYPE_CHECKING:
    from benchmarks.evaluation import EvalReport


def measure(
    base: Base = "smollm2-135m",
    adapter: Annotated[
        Path | None, typer.Option("--adapter", help="Adapter folder. Default: the base model itself.")
    ] = None,
    source: SourceName = "hub",
    rows: Annotated[int, typer.Option("--rows", help="Number of rows per dataset.")] = 32,
    datasets: Datasets = None,
    dtype: Dtype = "float32",
    rounds: Annotated[
        int, typer.Option("--rounds", help="Number of rounds. Each side answers all requests once per round.")
    ] = 1,
    batch_sizes: Annotated[
        str | None,
        typer.Option("--batch-sizes", help="Batch sizes to try for lm-eval. Default: 1,4,8,16, on a GPU 8,16,32,64."),
    ] = None,
    device: Device = None,
    threads: Threads = None,
    tokenizer: Annotated[
        str | None,
        typer.Option("--tokenizer", help="Base whose tokenizer is used. Needed for a base with random weights."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for report.json, table.md, costs.svg and costs.png.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure lm-eval and CME's engine side by side.

    Both use the same model and rows in one process, and lm-eval uses its best batch size. The tables show times, the amount of
    computation, the agreement of the answers, peak memory, and the growth of time with rows and options.
    """
    from benchmarks.evaluation import EvalBenchSettings, measure_evaluation

    settings = EvalBenchSettings(
        base=base,
        adapter=str(adapter) if adapter else None,
        source=source,
        rows=rows,
        datasets=names(datasets),
        dtype=dtype,
        rounds=rounds,
        batch_sizes=numbers("--batch-sizes", batch_sizes or ""),
        device=device,
        threads=threads,
        tokenizer=tokenizer,
    )
    with out_of_memory_reported("Give smaller --batch-sizes, or fewer --rows."):
        report = measure_evaluation(settings, command=("python", "-m", "benchmarks.evaluation", *sys.argv[1:]))
    if out:
        _keep_evaluation(report, out)
    if as_json:
        emit_json(report.to_dict())
        return
    _show_evaluation(report)


def _keep_evaluation(report: "EvalReport", out: Path) -> None:
    from benchmarks.evaluation.plot import save
    from benchmarks.evaluation.table import markdown
    from cme.extras import optional
    from cme.files import write_json, write_text

    write_json(out / "report.json", report.to_dict())
    write_text(out / "table.md", markdown(report))
    with optional("The same numbers are in report.json."):
        for name in ("costs.svg", "costs.png"):
            save(report, out / name)


def _show_evaluation(report: "EvalReport") -> None:
    from benchmarks.evaluation.table import (
        cost_rows,
        growth_rows,
        memory_note,
        memory_rows,
        notes,
        total_rows,
        work_rows,
    )
    from cme.bench.adapters.table import machine

    for table in (cost_rows(report), total_rows(report), work_rows(report)):
        show_table(*table)
        print()
    if report.growth:
        print(f"Growth on {report.growth[0].dataset}, with pairs of words from the prompts as options:\n")
        show_table(*growth_rows(report))
    if report.memory:
        print(f"\nPeak memory: {memory_note(report)}:\n")
        show_table(*memory_rows(report))
    note("\n" + "\n".join([*notes(report), machine(report.surroundings)]))


app = standalone(
    measure, epilog="Example: python -m benchmarks.evaluation --source mini --rows 16 --datasets qqp,race --out costs/"
)

if __name__ == "__main__":
    app()
