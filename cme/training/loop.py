"""The Trainer of transformers, configured for CME's training runs."""

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
from cme.training.rates import own_rate_of_b
from cme.training.settings import TrainSettings

__all__ = ["arguments", "make_trainer", "most"]

_SCHEDULES = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}


def arguments(settings: TrainSettings, out: Path) -> TrainingArguments:
    """Create the Trainer's arguments without the number of steps. Under torchrun, this joins the processes.

    Args:
        settings: The training settings with the resolved dtype.
        out: The run's folder.
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
        # Autocast casts the adapter's float32 weights to bfloat16 for matrix products. AdamW updates the float32 weights.
        bf16=settings.dtype == "bfloat16",
        use_cpu=not gpu,
        activation_checkpointing=settings.gradient_checkpointing,
        # Reentrant checkpointing silently loses the gradient of a router.
        activation_checkpointing_kwargs={"use_reentrant": False} if settings.gradient_checkpointing else None,
        # cme.training.order computes the order of the examples.
        train_sampling_strategy="sequential",
        remove_unused_columns=False,
        dataloader_pin_memory=gpu,
        logging_strategy="steps",
        logging_steps=settings.logging_steps,
        # The filter would replace a NaN with the mean of earlier losses.
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=settings.save_every,
        disable_tqdm=True,
        report_to="none",
        ddp_timeout=int(TIMEOUT.total_seconds()),
        # Every parameter of an adapter has a gradient in every step.
        ddp_find_unused_parameters=False,
    )
    # With several GPUs and without torchrun, the Trainer would use DataParallel, whose batch size differs from the recorded one.
    args._n_gpu = min(args.n_gpu, 1)
    return args


class _Trainer(Trainer):  # type: ignore[misc]
    """The Trainer without the estimate of floating-point operations, which CME does not use.

    In a profile of SmolLM2-135M (TeamLoRA 4 × 8, batch 4, one thread), forward and backward passes take 96 % of a step,
    gradient clipping 1 %, and AdamW 1 %. AdamW is fused by default, which takes less than a third of the time of the plain
    implementation. Logged values are copied from the device at logging steps only.
    """

    b_ratio: float | None = None
    """Learning rate of the matrices B divided by that of the other parameters. None means the same rate."""

    def create_optimizer(self, model: Any = None) -> Any:
        """Create the optimiser, in which the matrices B have a learning rate of their own if `b_ratio` is set."""
        optimizer = super().create_optimizer(model)
        if self.b_ratio is not None:
            own_rate_of_b(optimizer, self.model, self.b_ratio)
        return optimizer

    def get_decay_parameter_names(self, model: Any) -> list[str]:
        """Return the names of the parameters with weight decay. The Trainer leaves out biases by the word in their names."""
        return [name for name in super().get_decay_parameter_names(model) if ".adamole_T." not in name]

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Return 0, because the estimate takes 3 ms per batch and is not part of any record."""
        return 0


class _LossTrainer(_Trainer):
    """The Trainer with a loss of its own, which is a mean over the batch."""

    loss_is_scaled_for_ga = False
    own_loss: Callable[[Any, dict[str, Any]], torch.Tensor]

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Compute the loss from the model and the batch."""
        loss = self.own_loss(model, inputs)
        return (loss, {}) if return_outputs else loss


def make_trainer(
    model: Any,
    args: TrainingArguments,
    settings: TrainSettings,
    data: Dataset[Any],
    collator: Callable[..., Any],
    callbacks: Sequence[TrainerCallback],
    *,
    loss: Callable[[Any, dict[str, Any]], torch.Tensor] | None = None,
) -> Trainer:
    """Create the Trainer of a run.

    Args:
        model: The `PeftModel`, or the model for full fine-tuning.
        args: The arguments from `arguments`.
        settings: The training settings.
        data: All examples of the run in training order. Their number is a multiple of the examples per step.
        collator: The function that makes batches.
        callbacks: The callbacks of the run.
        loss: A function from the model and a batch to the mean loss of the batch. By default the model's own loss.
    """
    per_step = settings.batch_size * settings.gradient_accumulation * args.world_size
    args.max_steps = len(data) // per_step  # type: ignore[arg-type]
    # At least one step must have a learning rate above zero.
    args.warmup_steps = min(math.ceil(settings.warmup * args.max_steps), args.max_steps - 1)
    if settings.gradient_checkpointing:
        # The Trainer disables the cache in the configuration of the whole model, but a language model inside has its own.
        model.config.get_text_config(decoder=True).use_cache = False
    kind = _Trainer if loss is None else _LossTrainer
    trainer = kind(model=model, args=args, train_dataset=data, data_collator=collator, callbacks=list(callbacks))
    if loss is not None:
        trainer.own_loss = loss
    trainer.b_ratio = settings.b_learning_rate_ratio
    trainer.remove_callback(PrinterCallback)
    return trainer


def most(trainer: Trainer, number: int) -> int:
    """Return the maximum of a number over all processes."""
    return int(trainer.accelerator.gather(torch.tensor([number], device=trainer.args.device)).max())
