"""What training cost, and what a method costs relative to LoRA."""

from typing import Annotated

from pydantic import Field

from cme.records.base import Amount, Count, PartialRecord, Record

__all__ = ["Cost", "MeasuredRatios", "Ratio"]

Above = Annotated[float, Field(gt=0)]


class Cost(PartialRecord):
    """What one training run cost, as its run record states it; empty for a base or a baseline.

    Attributes:
        trainable_parameters: count while training, before any pruning.
        saved_parameters: count in the adapter as saved.
        base_parameters: count, without the adapter; tied ones once.
        trainable_share: trainable / base, in percent.
        wall_seconds: training time, summed over interruptions, without loading.
        tokens_per_second: tokens / wall_seconds.
        peak_memory_bytes: most memory used by the process (GPU memory on a GPU).
        steps: optimiser steps.
        tokens: training tokens seen, padding left out.
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
    """A cost over that of LoRA of equal total rank.

    Attributes:
        value: the median.
        low: lower end of its confidence interval; None without one.
        high: upper end.
    """

    value: Above
    low: Above | None
    high: Above | None


class MeasuredRatios(PartialRecord):
    """What a method costs relative to LoRA of equal total rank, and what that was measured on; empty: not measured.

    Attributes:
        train: time of a training step.
        prefill: time to read a prompt.
        decode: time of a generated token.
        memory: peak memory of training.
        base: base model.
        total_rank: rank of all experts together.
        rounds: measured rounds.
        device: where it was measured, such as ``cpu``.
        hardware: name of the processor or GPU.
        threads: CPU threads.
        dtype: of the base's weights.
        command: the command line of the measurement.
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
