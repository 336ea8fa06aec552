"""Costs of training, and costs of a method relative to LoRA."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from cme.records.base import Amount, Count, PartialRecord, Record

__all__ = ["Cost", "MeasuredRatios", "Ratio", "without_out"]

Above = Annotated[float, Field(gt=0)]


class Cost(PartialRecord):
    """Costs of one training run, from its run record; empty for a base or a baseline.

    Attributes:
        trainable_parameters: number of trainable parameters, before any pruning.
        saved_parameters: number of parameters in the saved adapter.
        base_parameters: number of parameters of the base; tied parameters count once.
        trainable_share: trainable_parameters / base_parameters, in percent.
        wall_seconds: training time without loading, summed over interruptions.
        tokens_per_second: tokens / wall_seconds.
        peak_memory_bytes: peak memory of the process (GPU memory on a GPU).
        steps: number of optimiser steps.
        tokens: number of training tokens, without padding.
        device: name of the device.
    """

    trainable_parameters: Count | None = None
    saved_parameters: Count | None = None
    base_parameters: Count | None = None
    trainable_share: Amount | None = None
    wall_seconds: Amount | None = None
    tokens_per_second: Amount | None = None
    peak_memory_bytes: Count | None = None
    steps: Count | None = None
    tokens: Count | None = None
    device: str | None = None


class Ratio(Record):
    """A cost relative to that of LoRA of equal total rank.

    Attributes:
        value: median of the ratio.
        low: lower end of its confidence interval, or None.
        high: upper end of its confidence interval, or None.
    """

    value: Above
    low: Above | None
    high: Above | None


class MeasuredRatios(PartialRecord):
    """Costs of a method relative to LoRA of equal total rank, and how they were measured; empty if they were not measured.

    Attributes:
        train: ratio of the time of a training step.
        prefill: ratio of the time to process a prompt.
        decode: ratio of the time per generated token.
        memory: ratio of the peak memory of training.
        base: base model.
        total_rank: total rank of all experts.
        rounds: number of measured rounds.
        device: device of the measurement, such as ``cpu``.
        hardware: name of the processor or GPU.
        threads: CPU threads.
        dtype: data type of the base's weights.
        command: command line of the measurement.
    """

    train: Ratio | None = None
    prefill: Ratio | None = None
    decode: Ratio | None = None
    memory: Ratio | None = None
    base: str | None = None
    total_rank: Count | None = None
    rounds: Count | None = None
    device: str | None = None
    hardware: str | None = None
    threads: Count | None = None
    dtype: str | None = None
    command: str | None = None


def without_out(words: Sequence[str]) -> list[str]:
    """Return the command of a measurement without its output folder, which means nothing on another machine."""
    kept, skipped = [], False
    for word in words:
        if not skipped and word != "--out" and not word.startswith("--out="):
            kept.append(word)
        skipped = word == "--out"
    return kept
