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
    """The record of one training run: settings, data and costs.

    Attributes:
        method: adapter method, by the name that tables show (``dora`` for PEFT's LORA with ``use_dora``).
        adapter: resolved settings of the adapter.
        training: resolved settings of the training.
        base: name of the base model, as given.
        base_fingerprint: SHA-256 of the base's configuration and weights.
        adapter_fingerprint: SHA-256 of configuration and weights of the adapter, or of the model if all parameters are trained.
        mix_fingerprint: fingerprint of the mix.
        prompt_format: plain, chat or teamlora.
        trainable_parameters: number of trainable parameters, before any pruning.
        base_parameters: number of parameters of the base; tied parameters count once.
        trainable_share: trainable_parameters / base_parameters, in percent, as counted in the TeamLoRA paper.
        steps: number of optimiser steps.
        examples: number of training examples.
        tokens: number of training tokens, without padding.
        wall_seconds: training time without loading, summed over interruptions.
        tokens_per_second: tokens / wall_seconds.
        peak_memory_bytes: peak memory of the process (GPU memory on a GPU).
        losses: logged training losses: [[step, loss], …].
        validation_loss: loss on the mix's validation split at the end, if there is one.
        dropped: training rows that were left out, by reason (such as an answer that does not fit).
        cut: training rows whose long text was cut to fit max_length.
        interruptions: number of times that the run was resumed from a checkpoint.
        device: name of the device.
        dtype: data type of the base's weights.
        world_size: number of processes.
        versions: versions of the libraries.
        started: UTC time, ISO 8601.
        finished: UTC time, ISO 8601.
        saved_parameters: number of parameters in the saved adapter, which is smaller than trained if ranks are pruned (AdaLoRA).
        tokenizer_fingerprint: same as `Result.tokenizer_fingerprint`, for the prompt format of the training.
        saved_check: outcome of the checks at the end of the training; None in records of earlier versions, and if there was not
            enough memory for a second copy of the base.
        adapted: number of adapted layers by name, in which numbers are replaced by ``*``; None if there is no adapter, and in
            records of earlier versions.
        not_adapted: number of the base's other linear layers and expert parameters, by name; None as for ``adapted``.
        mix_datasets: names of the datasets of the mix; None in records of earlier versions.
        mix_compared: datasets with whose evaluation rows decontamination compared the mix, each with the splits that the source
            of the mix lacked. Empty for a mix without decontamination; None in records of earlier versions, and if the manifest
            of the mix does not say.
        mix_partial: datasets of which that source had fewer evaluation rows than are published, each with the provenance of these
            rows; None as for ``mix_compared``.
        ranks: for methods of other packages, to which experts the ranks belong: ``shared`` by all experts, or ``single`` if every
            rank is an expert. None if each expert has its own, and for CME's own methods.
    """

    KIND: ClassVar[str] = "run"
    SCHEMA_VERSION: ClassVar[int] = 1
    LEFT_OUT: ClassVar[tuple[str, ...]] = (
        "adapted",
        "not_adapted",
        "mix_datasets",
        "mix_compared",
        "mix_partial",
        "ranks",
    )

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
    adapted: dict[str, Count] | None = None
    not_adapted: dict[str, Count] | None = None
    mix_datasets: Items[str] | None = None
    mix_compared: dict[str, Items[str]] | None = None
    mix_partial: dict[str, dict[str, str]] | None = None
    ranks: str | None = None
