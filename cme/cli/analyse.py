"""``cme analyse``: what the experts of routed adapters do, and what each is worth."""

from pathlib import Path
from typing import Annotated

import typer

from cme.cli.app import emit_json, note, verb
from cme.cli.options import AllowMissing, Base, Datasets, Json, PromptFormat, SourceName, Suite
from cme.progress import announced

__all__ = ["analyse"]

_EXAMPLES = """Examples:

cme analyse runs/teamlora --source mini --tier quick --out analysis/teamlora

cme analyse runs/moelora runs/teamlora --parts load,similarity --out analysis

cme analyse runs/teamlora --parts training --source mini --out analysis/teamlora-training"""


@verb("analyse", epilog=_EXAMPLES)
def analyse(
    adapter: Annotated[list[str], typer.Argument(metavar="RUN", help="Folders or hub ids of routed adapters.")],
    out: Annotated[
        Path,
        typer.Option(
            "--out", help="Output folder: new, or unfinished work. Several runs get one folder each below it."
        ),
    ],
    base: Base = "smollm2-135m",
    tier: Annotated[
        str,
        typer.Option("--tier", help="Samples per dataset: smoke (8, without intervals), quick (64), standard, full."),
    ] = "quick",
    source: SourceName = "hub",
    suite: Suite = None,
    datasets: Datasets = None,
    parts: Annotated[
        str,
        typer.Option(
            "--parts",
            help="Comma-separated parts: load, redundancy, shapley, similarity, validation, and training, which needs a run "
            "with --keep-checkpoints.",
        ),
    ] = "load,redundancy,shapley,similarity,validation",
    subject_rows: Annotated[
        int, typer.Option("--subject-rows", min=1, help="Rows of each MMLU subject on which load is measured.")
    ] = 20,
    permutations: Annotated[
        int, typer.Option("--permutations", min=1, help="Permutations of the test of whether subjects differ.")
    ] = 999,
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder of the run's mix. Default: the folder in its run.json.")
    ] = None,
    validation_rows: Annotated[
        int,
        typer.Option("--validation-rows", min=1, help="Most rows of the mix on which the validation loss is measured."),
    ] = 200,
    draws: Annotated[
        int,
        typer.Option("--draws", min=1, help="Draws of bundles of experts, compared with equal numbers in all layers."),
    ] = 20,
    prompt_format: PromptFormat = "plain",
    dtype: Annotated[
        str, typer.Option("--dtype", help="Data type: float32 (the reference), bfloat16, float16 or auto.")
    ] = "float32",
    token_budget: Annotated[
        int | None, typer.Option("--token-budget", help="Tokens per pass. Default: 512 on a CPU, 8192 on a GPU.")
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", help="Device, such as cpu or cuda:1. Default: a GPU if available.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help="CPU threads. Default: chosen by PyTorch.")
    ] = None,
    allow_missing: AllowMissing = False,
    as_json: Json = False,
) -> None:
    """Analyse what the experts of a routed adapter do.

    Measures how evenly the router uses the experts and whether it distinguishes MMLU subjects (load), what remains if
    experts are masked (redundancy), what each expert is worth by exact Shapley values (shapley), how similar the experts'
    weights are (similarity), and what masks do to the loss on the mix's validation split (validation). Four experts cost 18
    evaluations, which share the base and the rows, and forward passes over 200 rows of the mix.

    Writes analysis.json, analysis.md, load.parquet, coalitions.parquet, validation.parquet and figures. Run the same command
    again after an interruption to continue.
    """
    import cme

    settings = {
        "base": base,
        "tier": tier,
        "source": source,
        "suite": suite,
        "datasets": datasets,
        "parts": parts,
        "subject_rows": subject_rows,
        "permutations": permutations,
        "data": data,
        "validation_rows": validation_rows,
        "draws": draws,
        "prompt_format": prompt_format,
        "dtype": dtype,
        "token_budget": token_budget,
        "device": device,
        "threads": threads,
        "allow_missing": allow_missing,
    }
    with announced(note):
        if len(adapter) == 1:
            analyses = [cme.analyse(adapter[0], out, **settings)]  # type: ignore[arg-type]
        else:
            analyses = cme.analyse_each(adapter, out, **settings)  # type: ignore[arg-type]
    if as_json:
        values = [item.record.plain() for item in analyses]
        emit_json(values[0] if len(values) == 1 else values)
        return
    if len(analyses) == 1:
        print(analyses[0].markdown)
    else:
        print((out / "experts.md").read_text(encoding="utf-8"))
    note("Written: " + ", ".join(str(item.folder) for item in analyses))
