"""``cme train``: train an adapter on a mix."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cme.cli.adapter_options import Given, adapter_options
from cme.cli.app import emit_json, note, verb
from cme.cli.options import Json, NewFolder
from cme.cli.tables import show_table
from cme.errors import UsageError

if TYPE_CHECKING:
    from cme.training import Grid

__all__ = ["train"]


_EXAMPLES = """Examples:

cme train --method teamlora --rank 8 --experts 4 --data mix/ --out runs/x

cme train --recipe demo-teamlora --data mix/ --out runs/x

cme train --method full --data mix/ --lr 2e-5 --out runs/full

cme train --peft-config dora.yaml --data mix/ --out runs/dora

cme train --method lora --data mix/ --lr-grid 2e-4,5e-4,1e-3 --out runs/lora-grid

cme train --method lora --data mix/ --lr-grid 2e-4,5e-4,1e-3 --tune rank=8,16,32 --out runs/lora-tuned"""


@verb("train", epilog=_EXAMPLES)
@adapter_options
def train(
    out: NewFolder,
    data: Annotated[
        str | None,
        typer.Option("--data", help="Folder of a mix, from 'cme build-data'. Required, unless the recipe names it."),
    ] = None,
    base: Annotated[
        str | None, typer.Option("--base", help="Base model: hub id, folder, or smollm2-135m (the embedded default).")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option("--recipe", help="Recipe: YAML file or name (cme ls recipes). Options override it.")
    ] = None,
    *,
    adapter: Given,
    prompt_format: Annotated[
        str | None, typer.Option("--format", help="Prompt format: plain (default), chat or teamlora.")
    ] = None,
    lr: Annotated[float | None, typer.Option("--lr", help="Peak learning rate. Default: 2e-4.")] = None,
    lr_from: Annotated[
        Path | None,
        typer.Option(
            "--lr-from", help="Use what this folder of --lr-grid has chosen: the rate, and settings of --tune."
        ),
    ] = None,
    lr_grid: Annotated[
        str | None,
        typer.Option("--lr-grid", help="Train once per rate (2e-4,5e-4,1e-3) and select by validation loss."),
    ] = None,
    tune: Annotated[
        list[str] | None,
        typer.Option(
            "--tune", metavar="KEY=VALUES", help="Settings to vary with --lr-grid (rank=8,16); may be repeated."
        ),
    ] = None,
    schedule: Annotated[
        str | None, typer.Option("--schedule", help="Learning-rate schedule: cosine (default), linear or constant.")
    ] = None,
    warmup: Annotated[
        float | None, typer.Option("--warmup", help="Share of the steps used for warm-up. Default: 0.03.")
    ] = None,
    epochs: Annotated[float | None, typer.Option("--epochs", help="Number of passes over the mix. Default: 1.")] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", help="Number of optimiser steps, instead of --epochs.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", help="Examples per device and batch. Default: 8.")
    ] = None,
    gradient_accumulation: Annotated[
        int | None, typer.Option("--gradient-accumulation", help="Batches per optimiser step and device. Default: 1.")
    ] = None,
    max_length: Annotated[
        int | None, typer.Option("--max-length", help="Maximum number of tokens per example. Default: 1024.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Seed of the initialisation, the order and dropout. Default: 0.")
    ] = None,
    dtype: Annotated[
        str | None, typer.Option("--dtype", help="Data type: auto (default), bfloat16 or float32.")
    ] = None,
    weight_decay: Annotated[
        float | None, typer.Option("--weight-decay", help="Weight decay of AdamW. Default: 0.")
    ] = None,
    b_learning_rate_ratio: Annotated[
        float | None,
        typer.Option("--b-learning-rate-ratio", help="LoRA+: rate of the matrices B / rate of the others. Default: 1."),
    ] = None,
    max_grad_norm: Annotated[
        float | None, typer.Option("--max-grad-norm", help="Norm to which gradients are clipped. Default: 1.")
    ] = None,
    logging_steps: Annotated[
        int | None, typer.Option("--logging-steps", help="Steps between two logged losses. Default: 10.")
    ] = None,
    save_every: Annotated[
        int | None, typer.Option("--save-every", help="Steps between checkpoints. Default: 200.")
    ] = None,
    keep_checkpoints: Annotated[
        bool | None, typer.Option("--keep-checkpoints", help="Keep all checkpoints after the training.")
    ] = None,
    train_on_prompt: Annotated[
        bool | None, typer.Option("--train-on-prompt", help="Compute the loss on the prompt's tokens as well.")
    ] = None,
    gradient_checkpointing: Annotated[
        bool | None,
        typer.Option("--gradient-checkpointing", help="Recompute activations to use less memory; training is slower."),
    ] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help="CPU threads per process. Default: chosen by PyTorch.")
    ] = None,
    report_to: Annotated[
        list[str] | None,
        typer.Option("--report-to", help="Experiment tracker: tensorboard, wandb or trackio; may be repeated."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Train an adapter, or a whole model, on a mix.

    Settings come from the options, else from --recipe, else from the defaults below. --method full trains the whole
    model. Run the same command again after an interruption to continue from the newest complete checkpoint. To use several
    devices: torchrun --nproc_per_node N -m cme train …
    """
    import cme

    flags = {
        "data": data,
        "base": base,
        "recipe": recipe,
        "prompt_format": prompt_format,
        "schedule": schedule,
        "warmup": warmup,
        "epochs": epochs,
        "steps": steps,
        "batch_size": batch_size,
        "gradient_accumulation": gradient_accumulation,
        "max_length": max_length,
        "seed": seed,
        "dtype": dtype,
        "weight_decay": weight_decay,
        "b_learning_rate_ratio": b_learning_rate_ratio,
        "max_grad_norm": max_grad_norm,
        "logging_steps": logging_steps,
        "save_every": save_every,
        "keep_checkpoints": keep_checkpoints,
        "train_on_prompt": train_on_prompt,
        "gradient_checkpointing": gradient_checkpointing,
        "threads": threads,
        "report_to": ",".join(report_to) if report_to else None,
        **adapter,
    }
    if lr_grid is not None:
        if lr is not None or lr_from is not None:
            other = "--lr-from" if lr is None else "--lr"
            raise UsageError(f"{other} and --lr-grid cannot be combined. Give one of them.")
        _show_grid(cme.train_grid(out, lr_grid, tune=_tune(tune), **flags).record, out, as_json)
        return
    if tune:
        raise UsageError("--tune needs --lr-grid, because settings are chosen together with the rate. Give both.")
    record = cme.train(out, lr=lr, lr_from=lr_from, **flags).record
    if as_json:
        emit_json(record.plain())
        return
    loss = "" if record.validation_loss is None else f", validation loss {record.validation_loss:.3f}"
    last = f", last loss {record.losses[-1][1]:.3f}" if record.losses else ""
    minutes, seconds = divmod(round(record.wall_seconds), 60)
    note(
        f"{record.method}: {record.trainable_parameters:,} trainable parameters ({record.trainable_share:.2f} % of the base), "
        f"{record.steps} steps in {minutes}:{seconds:02d} min, {record.tokens_per_second:.0f} tokens/s, "
        f"{record.peak_memory_bytes / 2**30:.1f} GiB{last}{loss}"
    )
    pruned = record.saved_parameters is not None and record.saved_parameters < record.trainable_parameters
    if pruned:
        note(f"After pruning, the adapter has {record.saved_parameters:,} parameters.")
    note(f"Written: {out} ({'model' if record.method == 'full' else 'adapter'} and run.json)")


def _show_grid(grid: "Grid", out: Path, as_json: bool) -> None:
    if as_json:
        emit_json(grid.plain())
        return
    varied = list(dict.fromkeys(key for run in grid.runs for key in run.settings or {}))
    rows = [
        [
            *(str((run.settings or {}).get(key)) for key in varied),
            f"{run.learning_rate:g}",
            _loss(run.validation_loss),
            _loss(run.last_loss),
            _mark(grid, run.folder),
        ]
        for run in grid.runs
    ]
    show_table([*varied, "learning rate", "validation loss", "last loss", ""], rows)
    for run in grid.runs:
        if run.problem:
            note(f"{run.folder}: {run.problem}")
    if grid.at_edge:
        note(
            "The best learning rate is at the edge of the grid. Try a wider grid, because a better rate may lie outside."
        )
    for key in grid.settings_at_edge:
        note(
            f"The best {key.replace('_', ' ')} is the lowest or highest that was tried, so a better one may lie outside."
        )
    note(f"Written: {out / str(grid.best)} (the best run), {out / 'lr-grid.json'}")


def _tune(options: list[str] | None) -> dict[str, Any] | None:
    """Parse settings and their values, such as ``rank=8,16``."""
    if not options:
        return None
    from cme.readers.yaml_file import parse_yaml

    values: dict[str, Any] = {}
    for option in options:
        key, equals, listed = option.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or not listed.strip():
            raise UsageError(f"--tune is {option!r}. Give a setting and its values, such as rank=8,16.")
        if key in values:
            raise UsageError(f"--tune: {key} is given twice. List all its values once: {key}=8,16.")
        values[key] = parse_yaml(f"[{listed}]", f"--tune {option}", error=UsageError)
    return values


def _loss(value: float | None) -> str:
    return "diverged" if value is None else f"{value:.4f}"


def _mark(grid: "Grid", folder: str) -> str:
    return "best" if folder == grid.best else ""
