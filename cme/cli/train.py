"""``cme train``: an adapter from a mix."""

from typing import Annotated

import typer

from cme.cli import adapter_options as given_by
from cme.cli.app import emit_json, note, verb
from cme.cli.options import Json, NewFolder

__all__ = ["train"]


@verb("train", epilog="Example: cme train --method teamlora --rank 8 --experts 4 --data mix/ --out runs/x")
def train(
    out: NewFolder,
    data: Annotated[str | None, typer.Option("--data", help="Folder of a mix (cme build-data).")] = None,
    base: Annotated[
        str | None, typer.Option("--base", help="Base model: hub id, folder, or smollm2-135m (the embedded default).")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option("--recipe", help="YAML file, or a name from: cme ls recipes. Options win over it.")
    ] = None,
    method: given_by.Method = None,
    rank: given_by.Rank = None,
    experts: given_by.Experts = None,
    alpha: given_by.Alpha = None,
    dropout: given_by.Dropout = None,
    target_modules: given_by.TargetModules = None,
    collaboration: given_by.Collaboration = None,
    competition: given_by.Competition = None,
    gate_scale: given_by.GateScale = None,
    balance_weight: given_by.BalanceWeight = None,
    router_hidden: given_by.RouterHidden = None,
    prompt_format: Annotated[
        str | None, typer.Option("--format", help="Prompt format: plain (default), chat or teamlora.")
    ] = None,
    learning_rate: Annotated[float | None, typer.Option("--lr", help="Peak learning rate.")] = None,
    schedule: Annotated[str | None, typer.Option("--schedule", help="cosine, linear or constant.")] = None,
    warmup: Annotated[float | None, typer.Option("--warmup", help="Share of the steps with a rising rate.")] = None,
    epochs: Annotated[float | None, typer.Option("--epochs", help="Passes over the mix.")] = None,
    steps: Annotated[int | None, typer.Option("--steps", help="Optimiser steps, in place of --epochs.")] = None,
    batch_size: Annotated[int | None, typer.Option("--batch-size", help="Examples on one device at a time.")] = None,
    gradient_accumulation: Annotated[
        int | None, typer.Option("--gradient-accumulation", help="Batches per optimiser step.")
    ] = None,
    max_length: Annotated[int | None, typer.Option("--max-length", help="Most tokens of an example.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Of the start, the order and dropout.")] = None,
    dtype: Annotated[str | None, typer.Option("--dtype", help="auto (default), bfloat16 or float32.")] = None,
    weight_decay: Annotated[float | None, typer.Option("--weight-decay", help="Of AdamW.")] = None,
    save_every: Annotated[int | None, typer.Option("--save-every", help="Steps between checkpoints.")] = None,
    keep_checkpoints: Annotated[bool | None, typer.Option("--keep-checkpoints", help="Keep all checkpoints.")] = None,
    train_on_prompt: Annotated[bool | None, typer.Option("--train-on-prompt", help="Learn the prompt too.")] = None,
    gradient_checkpointing: Annotated[
        bool | None, typer.Option("--gradient-checkpointing", help="Less memory, slower.")
    ] = None,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads per process.")] = None,
    as_json: Json = False,
) -> None:
    """Train an adapter on a mix.

    Run again after an interruption, it continues from the newest complete checkpoint. For several devices:
    torchrun --nproc_per_node N -m cme train …
    """
    from cme.train import load_recipe
    from cme.train import train as run

    flags = {
        "data": data,
        "base": base,
        "prompt_format": prompt_format,
        "learning_rate": learning_rate,
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
        "save_every": save_every,
        "keep_checkpoints": keep_checkpoints,
        "train_on_prompt": train_on_prompt,
        "gradient_checkpointing": gradient_checkpointing,
        "threads": threads,
    }
    adapter_flags = given_by.given(
        method,
        rank,
        experts,
        alpha,
        dropout,
        target_modules,
        collaboration,
        competition,
        gate_scale,
        balance_weight,
        router_hidden,
    )
    training, adapter = load_recipe(recipe, flags | adapter_flags)
    record = run(training, adapter, out=out)
    if as_json:
        from dataclasses import asdict

        emit_json(asdict(record))
        return
    loss = "" if record.validation_loss is None else f", validation loss {record.validation_loss:.3f}"
    last = f", last loss {record.losses[-1][1]:.3f}" if record.losses else ""
    minutes, seconds = divmod(round(record.wall_seconds), 60)
    note(
        f"{record.method}: {record.trainable_parameters:,} trainable parameters ({record.trainable_share:.2f} % of the base), "
        f"{record.steps} steps in {minutes}:{seconds:02d} min, {record.tokens_per_second:.0f} tokens/s, "
        f"{record.peak_memory_bytes / 2**30:.1f} GiB{last}{loss}"
    )
    note(f"written: {out} (adapter and run.json)")
