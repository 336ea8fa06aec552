"""Settings of a training run, with the source of every default."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from cme.config import Items, build, one_of, validated
from cme.problems import MissingHint, whole_problem
from cme.prompt import FORMATS

__all__ = ["DTYPES", "SCHEDULES", "TRACKERS", "TrainSettings", "settings_from", "stored"]

SCHEDULES = ("cosine", "linear", "constant")
DTYPES = ("auto", "bfloat16", "float32")
"""float16 is not supported, because it needs loss scaling and its overflows are a frequent cause of zero or NaN losses."""
TRACKERS = ("tensorboard", "wandb", "trackio")


def _share(value: float) -> float:
    if not 0 <= value < 1:
        raise ValueError(f"must be a share of the steps, at least 0 and below 1, found {value}")
    return value


def _tracker_names(value: object) -> object:
    if not isinstance(value, str):
        return value
    return () if value == "none" else tuple(name.strip() for name in value.split(",") if name.strip())


def _only_trackers(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if name not in TRACKERS:
            raise ValueError(f"{name!r} is not a tracker. Choose from {', '.join(TRACKERS)}")
    return names


@validated("training settings")
class TrainSettings:
    """The settings of a training run. The public summary of the TeamLoRA paper states none of these values.

    Defaults marked with "HydraLoRA" are those of the published script of that paper (Clin0212/HydraLoRA,
    ``HydraLoRA/fine-tuning.sh``), which trains a multi-task LoRA baseline on the same feed-forward layers.

    Attributes:
        data: Folder of a mix from ``cme build-data``.
        base: Base model: a hub id, a folder, or the name of the embedded base.
        prompt_format: Prompt format: plain, chat or teamlora. Plain works with every base, because it needs no chat template.
        learning_rate: Peak learning rate (HydraLoRA).
        schedule: One of `SCHEDULES`. All of them end at zero except ``constant``. The default is cosine (HydraLoRA).
        warmup: Share of the steps in which the learning rate rises linearly (HydraLoRA).
        epochs: Passes over the mix. The default is one if ``steps`` is not given either (HydraLoRA). There is no time limit,
            because the training must not depend on the machine.
        steps: Number of optimiser steps, instead of ``epochs``.
        batch_size: Number of examples per device and batch. The default is that of the Trainer.
        gradient_accumulation: Number of batches per optimiser step and device. The default is that of the Trainer.
        max_length: Maximum number of tokens of an example, with prompt and answer. With common tokenizers, 1024 tokens hold the
            suite's longest inputs (500 words) without cutting.
        seed: Seed of the adapter's initialisation, the order of the examples, and dropout.
        dtype: Dtype of the base's weights and of the matrix products. The adapter's weights are always in float32. ``auto``
            means bfloat16 if the machine supports it, and float32 otherwise. With avx512_bf16, bfloat16 processes 2.3 times as
            many tokens per second of CPU time as float32, with half the memory.
        weight_decay: Weight decay of AdamW (HydraLoRA).
        b_learning_rate_ratio: Learning rate of the matrices B divided by that of all other parameters (LoRA+, Hayou et al.,
            arXiv 2402.12354, whose authors recommend 16). None means the same rate. It works with every method that has
            matrices B.
        max_grad_norm: Norm to which gradients are clipped. The default is that of the Trainer.
        save_every: Steps between checkpoints. On the machines that we tested, 200 steps take a few minutes at most.
        keep_checkpoints: Whether to keep all checkpoints. Otherwise only the newest is kept, and none after training.
        logging_steps: Steps between two losses in the run record (HydraLoRA).
        train_on_prompt: Whether to train on the tokens of the prompt, too. Off by default, because only answers are scored.
        gradient_checkpointing: Whether to recompute activations in the backward pass, without reentrance. This saves memory
            and takes more time. Off by default, because the bases that we tested most do not need it.
        threads: Number of threads per process on a CPU. None means torch's default. It affects the speed only.
        report_to: Experiment trackers to log to, out of `TRACKERS`, as a list or as names separated by commas. None by
            default. Trackers do not affect a run, so neither its record nor its recipe contains this setting.
    """

    data: Annotated[str, MissingHint("missing. Give the folder of a mix, as written by cme build-data")]
    base: str = "smollm2-135m"
    prompt_format: Annotated[str, one_of(FORMATS)] = "plain"
    learning_rate: Annotated[float, Field(gt=0)] = 2e-4
    schedule: Annotated[str, one_of(SCHEDULES)] = "cosine"
    warmup: Annotated[float, AfterValidator(_share)] = 0.03
    epochs: Annotated[float, Field(gt=0)] | None = None
    steps: Annotated[int, Field(gt=0)] | None = None
    batch_size: Annotated[int, Field(gt=0)] = 8
    gradient_accumulation: Annotated[int, Field(gt=0)] = 1
    max_length: Annotated[int, Field(ge=2)] = 1024
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    dtype: Annotated[str, one_of(DTYPES)] = "auto"
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    b_learning_rate_ratio: Annotated[float, Field(gt=0)] | None = None
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    save_every: Annotated[int, Field(gt=0)] = 200
    keep_checkpoints: bool = False
    logging_steps: Annotated[int, Field(gt=0)] = 10
    train_on_prompt: bool = False
    gradient_checkpointing: bool = False
    threads: Annotated[int, Field(gt=0)] | None = None
    report_to: Annotated[Items[str], BeforeValidator(_tracker_names), AfterValidator(_only_trackers)] = ()

    @field_validator("steps")
    @classmethod
    def _not_with_epochs(cls, steps: int | None, info: ValidationInfo) -> int | None:
        if steps is not None and info.data.get("epochs") is not None:
            raise whole_problem("epochs and steps are both given. Give only one of them")
        return steps


def settings_from(values: Mapping[str, Any], where: str = "training settings") -> TrainSettings:
    """Read settings from a mapping, such as a section of a recipe.

    Raises:
        UsageError: A key is unknown, or a value has the wrong type or is out of range. One message lists all problems.
    """
    return build(TrainSettings, values, where)


OPTIONAL = ("b_learning_rate_ratio",)
"""Settings that records have only if they are set, because earlier versions did not have them."""


def stored(settings: TrainSettings) -> dict[str, Any]:
    """Return the settings for records and recipes.

    They do not include the trackers, which do not affect a run, and those of `OPTIONAL` only if they are set.
    """
    unused = ("report_to", *(name for name in OPTIONAL if getattr(settings, name) is None))
    return {name: value for name, value in asdict(settings).items() if name not in unused}
