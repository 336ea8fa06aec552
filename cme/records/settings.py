"""Settings of training and adapter in records. They have the types of the settings, and each key may be absent.

`cme.training.settings.TrainSettings` and `cme.adapters.AdapterSettings` define the valid values. A test checks that names and
types agree with them.
"""

from typing import Any

from pydantic import Field

from cme.config import Items
from cme.records.base import PartialRecord, Positive

__all__ = ["AdapterRecord", "Recipe", "TrainingRecord"]


class AdapterRecord(PartialRecord):
    """The settings of an adapter that its method uses; empty for a base.

    Attributes:
        method: adapter method.
        rank: rank of the adapter, or of one expert.
        experts: number of experts.
        alpha: the adapter's output is multiplied by alpha / rank.
        dropout: dropout of the adapter's input during training.
        target_modules: names of layers, or a regular expression; None for the feed-forward projections.
        collaboration: whether the experts share one matrix A.
        competition: whether the gate weights come from the interaction matrix.
        gate_sum: what the gate weights sum to: ``free``, 1 or ``experts``.
        gate_scale: the same under its earlier name: a number, or ``experts``.
        balance_weight: weight of the balance term in the loss.
        balance_form: form of the balance term: ``centred`` (the default), ``released`` or ``switch``.
        router_hidden: number of hidden units of the router; 0 for a single linear layer.
        options: further fields of PEFT's configuration.
    """

    method: str | None = None
    rank: Positive | None = None
    experts: Positive | None = None
    alpha: float | None = None
    dropout: float | None = None
    target_modules: Items[str] | str | None = None
    collaboration: bool | None = None
    competition: bool | None = None
    gate_sum: int | float | str | None = None
    gate_scale: float | str | None = None
    balance_weight: float | None = None
    balance_form: str | None = None
    router_hidden: int | None = None
    options: dict[str, Any] = Field(default_factory=dict)


class Recipe(PartialRecord):
    """The training settings that all runs of a row share; empty for a base.

    Attributes:
        prompt_format: plain, chat or teamlora.
        learning_rate: peak learning rate.
        schedule: schedule of the learning rate.
        warmup: share of the steps in which the learning rate increases.
        epochs: passes over the mix. None means one pass, unless steps are given.
        steps: optimiser steps, in place of epochs.
        batch_size: examples per batch and device.
        gradient_accumulation: batches per optimiser step and device.
        max_length: most tokens of an example.
        dtype: data type of the base's weights and the matrix products.
        weight_decay: weight decay of AdamW.
        b_learning_rate_ratio: learning rate of the matrices B divided by that of other parameters (LoRA+); absent if they are
            equal.
        max_grad_norm: norm to which gradients are clipped.
        train_on_prompt: whether the tokens of the prompt count in the loss.
        gradient_checkpointing: whether activations are recomputed in the backward pass.
    """

    prompt_format: str | None = None
    learning_rate: float | None = None
    schedule: str | None = None
    warmup: float | None = None
    epochs: float | None = None
    steps: int | None = None
    batch_size: int | None = None
    gradient_accumulation: int | None = None
    max_length: int | None = None
    dtype: str | None = None
    weight_decay: float | None = None
    b_learning_rate_ratio: float | None = None
    max_grad_norm: float | None = None
    train_on_prompt: bool | None = None
    gradient_checkpointing: bool | None = None


class TrainingRecord(Recipe):
    """The training settings of one run.

    Attributes:
        data: folder of the mix.
        base: base model.
        seed: seed of the adapter's initial values, the order of the examples, and dropout.
        save_every: steps between checkpoints.
        keep_checkpoints: whether all checkpoints are kept.
        logging_steps: steps between two losses in the run record.
        threads: CPU threads; None for torch's default.
    """

    data: str | None = None
    base: str | None = None
    seed: int | None = None
    save_every: int | None = None
    keep_checkpoints: bool | None = None
    logging_steps: int | None = None
    threads: Positive | None = None
