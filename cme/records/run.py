"""The record of a training run."""

from typing import Annotated, ClassVar

from pydantic import Strict

from cme.config import Items
from cme.records.base import Amount, Artefact, Count, Positive, Record
from cme.records.settings import AdapterRecord, TrainingRecord

__all__ = ["Run", "SavedCheck"]


class SavedCheck(Record):
    """What was checked at the end of a run. Differences of logits are root mean squares as a share of the logits' spread.

    Attributes:
        trainable: number of trainable parameters (tensors).
        changed: how many of them training changed.
        effect: difference between the trained model's logits and the base's on one batch.
        cme: difference between the trained model's logits and those of what was saved, loaded with CME.
        peft: the same, loaded with PEFT alone; None where all of the model was trained.
    """

    trainable: int
    changed: int
    effect: float | None
    cme: float
    peft: float | None


class Run(Artefact):
    """What was trained, on what, and what it cost.

    Attributes:
        method: adapter method, by the name that tables show (``dora`` for PEFT's LORA with ``use_dora``).
        adapter: the adapter's settings, resolved.
        training: the training settings, resolved.
        base: base model as asked for.
        base_fingerprint: SHA-256 of the base's configuration and weights.
        adapter_fingerprint: SHA-256 of the adapter's configuration and weights; of the model's, where all of it is trained.
        mix_fingerprint: the mix's manifest's.
        prompt_format: plain, chat or teamlora.
        trainable_parameters: count while training, so before any pruning.
        base_parameters: count, without the adapter; tied ones once.
        trainable_share: trainable / base, in percent, as the TeamLoRA paper counts.
        steps: optimiser steps.
        examples: training examples seen.
        tokens: training tokens seen (not padding).
        wall_seconds: training time, summed over interruptions, without loading.
        tokens_per_second: tokens / wall_seconds.
        peak_memory_bytes: most memory used by the process (GPU memory on a GPU).
        losses: step and training loss, as logged: [[step, loss], …].
        validation_loss: loss on the mix's validation part at the end, if it has one.
        dropped: training rows left out, by reason (an answer that does not fit, say).
        cut: training rows whose long text was cut to fit max_length.
        interruptions: how often the run was continued from a checkpoint.
        device: name of the device.
        dtype: of the base's weights.
        world_size: number of processes.
        versions: of the libraries.
        started: UTC time, ISO 8601.
        finished: UTC time, ISO 8601.
        saved_parameters: count in the adapter as saved; fewer than were trained where ranks are pruned (AdaLoRA).
        tokenizer_fingerprint: as `Result.tokenizer_fingerprint`, for the format that was trained in.
        saved_check: what was checked at the end; None in records of earlier versions, or where memory did not suffice.
    """

    KIND: ClassVar[str] = "run"
    SCHEMA_VERSION: ClassVar[int] = 1

    method: str
    adapter: AdapterRecord
    training: TrainingRecord
    base: str
    base_fingerprint: str
    adapter_fingerprint: str
    mix_fingerprint: str
    prompt_format: str
    trainable_parameters: Count
    base_parameters: Count
    trainable_share: Amount
    steps: Count
    examples: Count
    tokens: Count
    wall_seconds: Amount
    tokens_per_second: Amount
    peak_memory_bytes: Count
    losses: Items[Annotated[tuple[int, float], Strict(strict=False)]]
    validation_loss: float | None
    dropped: dict[str, int]
    cut: int
    interruptions: int
    device: str
    dtype: str
    world_size: Positive
    versions: dict[str, str]
    started: str
    finished: str
    saved_parameters: Count | None = None
    tokenizer_fingerprint: str = ""
    saved_check: SavedCheck | None = None
