"""``cme eval``: score a base model, or an adapter on it."""

from pathlib import Path
from typing import Annotated

import typer

from cme.cli.app import emit_json, note, verb
from cme.cli.options import AllowMissing, Base, Datasets, Json, NewFolder, PromptFormat, SourceName, names
from cme.cli.scores import show_scores

__all__ = ["evaluate"]


@verb("eval", epilog="Example: cme eval --adapter runs/x --tier quick --source mini --out results/x")
def evaluate(
    out: NewFolder,
    base: Base = "smollm2-135m",
    adapter: Annotated[
        Path | None, typer.Option("--adapter", help="Adapter folder. Default: the base model itself.")
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option("--baseline", help="No model: majority, first-option, unanswerable or lead-1 (what they cover)."),
    ] = None,
    tier: Annotated[
        str, typer.Option("--tier", help="Rows per dataset: smoke (8), quick (64), standard (500) or full.")
    ] = "quick",
    source: SourceName = "hub",
    datasets: Datasets = None,
    prompt_format: PromptFormat = "plain",
    shots: Annotated[int, typer.Option("--shots", help="Examples before each question, from the training split.")] = 0,
    dtype: Annotated[
        str, typer.Option("--dtype", help="float32 (the reference), bfloat16, float16, or auto.")
    ] = "float32",
    engine: Annotated[
        str, typer.Option("--engine", help="prefix: what requests share is computed once; or hf: lm-eval's own code.")
    ] = "prefix",
    batch_size: Annotated[
        int | None,
        typer.Option("--batch-size", help="Requests per batch where hf answers. Default: 8 on a CPU, 32 on a GPU."),
    ] = None,
    device: Annotated[str | None, typer.Option("--device", help="Where to run, such as cpu or cuda:1.")] = None,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads.")] = None,
    allow_missing: AllowMissing = False,
    name: Annotated[
        str | None, typer.Option("--name", help="Name in tables. Default: the adapter's folder name.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Evaluate a base model, an adapter or a baseline.

    Run again after an interruption, it continues.
    """
    from cme.evaluate.run import evaluate as run
    from cme.evaluate.settings import EvalSettings

    result = run(
        EvalSettings(
            base=base,
            adapter=str(adapter) if adapter else None,
            tier=tier,
            source=source,
            datasets=names(datasets),
            prompt_format=prompt_format,
            shots=shots,
            dtype=dtype,
            engine=engine,
            batch_size=batch_size,
            device=device,
            threads=threads,
            allow_missing=allow_missing,
            name=name,
            baseline=baseline,
        ),
        out,
    )
    if as_json:
        from dataclasses import asdict

        emit_json(asdict(result))
        return
    show_scores(result.scores)
    if result.adapter and not result.adapter.changes_output:
        note(
            "warning: with this adapter the model says exactly what the base says. Was it trained, and trained on this base?"
        )
    for why in sorted({used for used in result.engines.values() if used.startswith("hf: ")}):
        note(f"answered by lm-eval's own code, which is slower: {why.removeprefix('hf: ')}")
    if result.missing:
        note("without these splits, which the source lacks: " + ", ".join(result.missing))
    note(f"written: {out / 'result.json'}, {out / 'samples.parquet'}")
