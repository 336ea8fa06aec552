"""transformers' Trainer, set up for adapters: quiet, resumable, the same under torchrun."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from cme.processes import TIMEOUT
from cme.training.checkpoints import FOLDER
from cme.training.settings import TrainSettings

__all__ = ["arguments", "make_trainer", "most"]

_SCHEDULES = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}


def arguments(settings: TrainSettings, out: Path) -> TrainingArguments:
    """The Trainer's arguments, all but the number of steps; with torchrun's environment this joins the processes.

    Args:
        settings: with the dtype resolved.
        out: the run's folder.
    """
    gpu = torch.cuda.is_available()
    args = TrainingArguments(
        output_dir=str(out / FOLDER),
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.gradient_accumulation,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=_SCHEDULES[settings.schedule],
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        seed=settings.seed,
        # Autocast over bfloat16 weights: the adapter's float32 weights are cast for the products, and stay exact for AdamW.
        bf16=settings.dtype == "bfloat16",
        use_cpu=not gpu,
        activation_checkpointing=settings.gradient_checkpointing,
        # The reentrant kind loses the gradient of a router silently.
        activation_checkpointing_kwargs={"use_reentrant": False} if settings.gradient_checkpointing else None,
        # The order is made beforehand (cme.training.order).
        train_sampling_strategy="sequential",
        remove_unused_columns=False,
        dataloader_pin_memory=gpu,
        logging_strategy="steps",
        logging_steps=settings.logging_steps,
        # The filter would put the mean of earlier losses in the place of a NaN.
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=settings.save_every,
        disable_tqdm=True,
        report_to="none",
        ddp_timeout=int(TIMEOUT.total_seconds()),
        # Every adapter parameter gets a gradient in every step.
        ddp_find_unused_parameters=False,
    )
    # Several GPUs without torchrun would make the Trainer split batches by DataParallel, at other batch sizes than recorded.
    args._n_gpu = min(args.n_gpu, 1)
    return args


class _Trainer(Trainer):  # type: ignore[misc]
    """The Trainer without what nobody reads.

    A profile of SmolLM2-135M (TeamLoRA 4 × 8, batch 4, one thread) leaves nothing else to take away: of a step, 96 % are
    forward and backward, 1 % each the clipping of gradients and AdamW (fused by default: less than a third of the plain
    one's time), and what is logged is fetched from the device at every logging step only.
    """

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Zero: the estimate counts all parameters for every batch (3 ms here), and no record has it."""
        return 0


def make_trainer(
    model: Any,
    args: TrainingArguments,
    settings: TrainSettings,
    data: Dataset[Any],
    collator: Callable[..., Any],
    callbacks: Sequence[TrainerCallback],
) -> Trainer:
    """The Trainer for a run.

    Args:
        model: the `PeftModel`, or the whole model.
        args: from `arguments`.
        settings: the run's.
        data: all examples of the run in order; every step's number of them is whole.
        collator: makes batches.
        callbacks: the run's own.
    """
    per_step = settings.batch_size * settings.gradient_accumulation * args.world_size
    args.max_steps = len(data) // per_step  # type: ignore[arg-type]
    # At least one step is left at a learning rate above zero.
    args.warmup_steps = min(math.ceil(settings.warmup * args.max_steps), args.max_steps - 1)
    trainer = _Trainer(model=model, args=args, train_dataset=data, data_collator=collator, callbacks=list(callbacks))
    trainer.remove_callback(PrinterCallback)
    return trainer


def most(trainer: Trainer, number: int) -> int:
    """The largest of a number over all processes."""
    return int(trainer.accelerator.gather(torch.tensor([number], device=trainer.args.device)).max())
