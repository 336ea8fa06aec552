"""One training of one side, in this process: ``python -m benchmarks.training.side JOB`` prints what it took as JSON."""

import importlib
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.training.settings import CME, STOCK

__all__ = ["Training", "train_side"]


@dataclass(frozen=True)
class Training:
    """One training.

    Attributes:
        side: one of `benchmarks.training.settings.SIDES`.
        tokens: tokens that the model processed, without padding.
        seconds: time of the training loop, from its first step to its last.
        steps: optimiser steps.
        peak_bytes: peak memory of the process at the end of the loop, or of the GPU's allocator.
        losses: training losses that were logged.
        version: version of the trainer's library.
    """

    side: str
    tokens: int
    seconds: float
    steps: int
    peak_bytes: int
    losses: tuple[float, ...]
    version: str


def train_side(job: Mapping[str, Any]) -> Training:
    """Train one side.

    Args:
        job: ``side``, ``mix`` (folder), ``out`` (new folder), and the settings of the measurement.
    """
    if job["threads"]:
        import torch

        torch.set_num_threads(job["threads"])
    return _cme(job) if job["side"] == CME else _trl(job)


def _cme(job: Mapping[str, Any]) -> Training:
    import cme

    run = cme.train(
        job["out"], data=job["mix"], base=job["base"], method="lora", rank=job["rank"], steps=job["steps"],
        batch_size=job["batch_size"], max_length=job["max_length"], dtype=job["dtype"], lr=job["learning_rate"], seed=0,
        save_every=job["steps"] + 1, threads=job["threads"],
    ).record  # fmt: skip
    losses = tuple(float(loss) for _, loss in run.losses)
    return Training(
        CME, run.tokens, run.wall_seconds, run.steps, run.peak_memory_bytes, losses, f"cme {run.versions['cme']}"
    )


def _trl(job: Mapping[str, Any]) -> Training:
    import torch
    from peft import LoraConfig
    from transformers import TrainerCallback

    from cme.adapters import AdapterSettings, build_config
    from cme.machine import peak_memory
    from cme.models.load import load_model, load_tokenizer, pick_device, resolve_base

    # TRL is no requirement, so type checkers may not know it.
    trl: Any = importlib.import_module("trl")

    class Clock(TrainerCallback):  # type: ignore[misc]
        begin = end = 0.0

        def on_train_begin(self, *_: Any, **__: Any) -> None:
            self.begin = time.perf_counter()

        def on_train_end(self, *_: Any, **__: Any) -> None:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            self.end = time.perf_counter()

    folder, device = resolve_base(job["base"]), pick_device(None)
    tokenizer = load_tokenizer(folder)
    model = load_model(folder, dtype=job["dtype"], device=device)
    model.train()
    own = build_config(AdapterSettings("lora", rank=job["rank"]), model)
    lora = LoraConfig(
        r=own.r, lora_alpha=own.lora_alpha, lora_dropout=own.lora_dropout, target_modules=own.target_modules,
        task_type="CAUSAL_LM",
    )  # fmt: skip
    rows = _rows(Path(job["mix"]), tokenizer)
    clock = Clock()
    config = trl.SFTConfig(**_arguments(job, rows, tokenizer, device))
    trainer = trl.SFTTrainer(
        model=model, args=config, train_dataset=rows, processing_class=tokenizer, peft_config=lora, callbacks=[clock]
    )
    trainer.train()
    peak = int(torch.cuda.max_memory_allocated()) if device.startswith("cuda") else peak_memory()
    losses = tuple(float(item["loss"]) for item in trainer.state.log_history if "loss" in item)
    return Training(
        side=job["side"],
        tokens=int(trainer._total_train_tokens),
        seconds=clock.end - clock.begin,
        steps=int(trainer.state.global_step),
        peak_bytes=peak,
        losses=losses,
        version=f"trl {trl.__version__}",
    )


def _rows(mix: Path, tokenizer: Any) -> Any:
    """Return the rows of a mix as prompts and completions, with the texts that ``cme train`` encodes."""
    import datasets

    from cme.mix import example_from_row, load_mix
    from cme.prompt import render

    rendered = [render(example_from_row(row), "plain", tokenizer) for row in load_mix(mix, "train").to_pylist()]
    return datasets.Dataset.from_dict(
        {"prompt": [text.context for text in rendered], "completion": [text.target for text in rendered]}
    )


def _arguments(job: Mapping[str, Any], rows: Any, tokenizer: Any, device: str) -> dict[str, Any]:
    """Return the arguments of `SFTConfig`: those that all sides share, and those of the side."""
    arguments: dict[str, Any] = {
        "output_dir": job["out"],
        "per_device_train_batch_size": job["batch_size"],
        "max_steps": job["steps"],
        "max_length": job["max_length"],
        "learning_rate": job["learning_rate"],
        "lr_scheduler_type": "cosine",
        "warmup_steps": max(1, round(0.03 * job["steps"])) if job["steps"] > 1 else 0,
        "bf16": job["dtype"] == "bfloat16",
        "use_cpu": device == "cpu",
        "dataloader_pin_memory": device != "cpu",
        "seed": 0,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }
    if job["side"] != STOCK:
        arguments["gradient_checkpointing"] = False
    if job["side"] == "trl-grouped":
        arguments["train_sampling_strategy"] = "group_by_length"
    if job["side"] == "trl-packed":
        texts = [prompt + answer for prompt, answer in zip(rows["prompt"], rows["completion"], strict=True)]
        lengths = [len(ids) for ids in tokenizer(texts)["input_ids"]]
        mean = sum(lengths) / len(lengths)
        arguments["packing"] = True
        arguments["per_device_train_batch_size"] = max(1, round(job["batch_size"] * mean / job["max_length"]))
    return arguments


if __name__ == "__main__":
    # What the libraries print must not stand between the results.
    results, sys.stdout = sys.stdout, sys.stderr
    results.write(json.dumps(asdict(train_side(json.loads(sys.argv[1])))))
