"""``cme export-lora``: convert an adapter to plain LoRA, and measure what is lost."""

from pathlib import Path
from typing import Annotated

import typer

from cme.cli.app import emit_json, note, verb
from cme.cli.options import AllowMissing, Datasets, Json, Suite

__all__ = ["export_lora"]

_EXAMPLES = """Examples:

cme export-lora runs/moslora --out runs/moslora-as-lora

cme export-lora runs/teamlora --how mean,family,fit --measure --source mini --out exports/teamlora"""


@verb("export-lora", epilog=_EXAMPLES)
def export_lora(
    adapter: Annotated[str, typer.Argument(metavar="RUN", help="Folder or hub id of a MoSLoRA or routed adapter.")],
    out: Annotated[Path, typer.Option("--out", help="Output folder: new, or this command's own unfinished work.")],
    how: Annotated[
        str | None,
        typer.Option("--how", help="Ways of exporting a routed adapter, with commas: mean, family, fit, distil."),
    ] = None,
    rank: Annotated[
        int | None, typer.Option("--rank", help="Rank of fit and distil. Default: that of all experts together.")
    ] = None,
    ridge: Annotated[float | None, typer.Option("--ridge", help="Penalty of the fit towards mean. Default: 1.")] = None,
    steps: Annotated[int | None, typer.Option("--steps", help="Optimiser steps of distil. Default: 300.")] = None,
    lr: Annotated[float | None, typer.Option("--lr", help="Peak learning rate of distil. Default: 1e-4.")] = None,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", help="Examples per step of distil. Default: 8.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Seed of the order of distil's examples. Default: 0.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Mix whose rows are used. Default: the one that run.json names.")
    ] = None,
    base: Annotated[
        str | None, typer.Option("--base", help="Base of the adapter. Default: the one that the adapter names.")
    ] = None,
    prompt_format: Annotated[
        str | None, typer.Option("--format", help="Prompt format. Default: that of the training, or plain.")
    ] = None,
    dtype: Annotated[
        str, typer.Option("--dtype", help="Data type: float32 (the reference), bfloat16, float16 or auto.")
    ] = "float32",
    device: Annotated[
        str | None, typer.Option("--device", help="Device, such as cpu or cuda:1. Default: a GPU if available.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help="CPU threads. Default: chosen by PyTorch.")
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Evaluate the exports against the routed adapter on the same samples.")
    ] = False,
    source: Annotated[
        str | None,
        typer.Option("--source", help="Source of the samples: hub (default), a mirror folder, or mini (synthetic)."),
    ] = None,
    tier: Annotated[
        str | None,
        typer.Option(
            "--tier", help="Samples per dataset: smoke (8, no intervals), quick (64, default), standard, full."
        ),
    ] = None,
    suite: Suite = None,
    datasets: Datasets = None,
    retention_text: Annotated[
        Path | None,
        typer.Option("--retention-text", help="Text for the change of the loss. Default: wikitext-2 with hub."),
    ] = None,
    token_budget: Annotated[
        int | None, typer.Option("--token-budget", help="Tokens per pass. Default: 512 on a CPU, 8192 on a GPU.")
    ] = None,
    allow_missing: AllowMissing = False,
    as_json: Json = False,
) -> None:
    """Export an adapter to plain LoRA for other programs.

    PEFT, vLLM and llama.cpp load plain LoRA without CME.

    A MoSLoRA adapter is exported exactly and at once, and takes no option but --out. A routed adapter (moelora, teamlora and
    other methods with experts) weights its experts for every token and can only be approximated: with the mean gate weights
    (mean), with those of each family (family), by the map that is nearest in mean square (fit), or by training from there
    (distil). They are computed from the validation rows of its mix.

    With --measure, the routed adapter and the exports are evaluated, and the loss of each is reported. Run the same command
    again after an interruption to continue the export of a routed adapter.
    """
    import cme

    exported = cme.export_lora(
        adapter, out, how=how, rank=rank, ridge=ridge, steps=steps, lr=lr, batch_size=batch_size, seed=seed, data=data,
        base=base, prompt_format=prompt_format, dtype=dtype, device=device, threads=threads, measure=measure, source=source,
        tier=tier, suite=suite, datasets=datasets, retention_text=retention_text, token_budget=token_budget,
        allow_missing=allow_missing,
    )  # fmt: skip
    if as_json:
        emit_json({"folder": str(out)} if exported.record is None else exported.record.plain())
        return
    if exported.record is None:
        print(f"LoRA adapter: {out}")
        return
    print(exported.markdown)
    note(f"Written: {out}")
