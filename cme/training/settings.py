"""Settings of a training run; every default says where it comes from."""

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
"""float16 is not offered: it needs loss scaling, and overflows are what a zero or NaN loss mostly comes from."""
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
            raise ValueError(f"{name!r} is not a tracker; choose from {', '.join(TRACKERS)}")
    return names


@validated("training settings")
class TrainSettings:
    """How an adapter is trained. The paper's public summary states none of these numbers.

    Where a default says "HydraLoRA", it is the published script of that paper (Clin0212/HydraLoRA,
    ``HydraLoRA/fine-tuning.sh``), a multi-task LoRA baseline on the same feed-forward layers.

    Attributes:
        data: folder of a mix, from ``cme build-data``.
        base: base model: hub id, folder, or the embedded default.
        prompt_format: plain, chat or teamlora. Plain needs no chat template, so it fits every base.
        learning_rate: peak. 2e-4: HydraLoRA.
        schedule: one of `SCHEDULES`, to zero except for ``constant``. Cosine: HydraLoRA.
        warmup: share of the steps in which the learning rate rises linearly. 0.03: HydraLoRA.
        epochs: passes over the mix; one if neither this nor ``steps`` is given (HydraLoRA). There is no limit by
            minutes: what is trained must not depend on the machine.
        steps: optimiser steps, in place of ``epochs``.
        batch_size: examples on one device at a time. 8: Trainer's default.
        gradient_accumulation: batches per optimiser step and device. 1: Trainer's default.
        max_length: most tokens of an example, prompt and answer. 1024 holds the suite's longest inputs (500 words)
            uncut with common tokenizers.
        seed: of the adapter's start, the order of the examples, and dropout.
        dtype: of the base's weights and the matrix products; the adapter's own weights are float32 always. ``auto``:
            bfloat16 where the machine computes in it (measured in CPU time, avx512_bf16: 2.3 times the tokens per
            second of float32, at half the memory), else float32.
        weight_decay: of AdamW. 0: HydraLoRA.
        max_grad_norm: gradients are clipped to this norm. 1: Trainer's default.
        save_every: steps between checkpoints. 200: a few minutes lost at most on the machines we know.
        keep_checkpoints: keep all checkpoints; else only the newest is kept, and none when training has ended.
        logging_steps: steps between two losses in the run record. 10: HydraLoRA.
        train_on_prompt: learn the prompt's tokens too. Off: what is scored is the answer.
        gradient_checkpointing: recompute activations in the backward pass (the non-reentrant kind): less memory,
            slower. Off: the bases most tried here fit without.
        threads: threads per process on a CPU; none: torch's choice. It decides speed only.
        report_to: Experiment trackers to log to, out of `TRACKERS`; a list, or names separated by commas. None by default.
            A run is the same with and without a tracker, so neither its record nor its recipe has this setting.
    """

    data: Annotated[str, MissingHint("missing; give the folder of a mix (make one with: cme build-data)")]
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
            raise whole_problem("epochs and steps are both given; give one of them")
        return steps


def settings_from(values: Mapping[str, Any], where: str = "training settings") -> TrainSettings:
    """Read settings from a mapping (a recipe's section, flags).

    Raises:
        UsageError: every unknown key, wrong type and value out of range, in one message.
    """
    return build(TrainSettings, values, where)


def stored(settings: TrainSettings) -> dict[str, Any]:
    """Return the settings as records and recipes hold them: without the trackers, which change nothing about a run."""
    return {name: value for name, value in asdict(settings).items() if name != "report_to"}
