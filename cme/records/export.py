"""The record of an export of a routed adapter to plain LoRA."""

from typing import ClassVar

from cme.config import Items
from cme.records.analysis import Interval
from cme.records.base import Amount, Artefact, Count, Positive, Record
from cme.records.result import AdapterInfo

__all__ = [
    "DEFAULTS",
    "HOWS",
    "Distilled",
    "Export",
    "LayerFit",
    "Measured",
    "MeasuredExport",
    "PlainAdapter",
    "PlainExport",
]

HOWS = ("mean", "family", "fit", "distil")
"""The ways of exporting, from the cheapest."""

DEFAULTS = {"ridge": 1.0, "steps": 300, "learning_rate": 1e-4, "batch_size": 8, "seed": 0}
"""Defaults of the settings of ``fit`` and ``distil``."""


class LayerFit(Record):
    """How well plain LoRA fits one layer on the validation rows.

    Attributes:
        layer: name of the layer.
        loss: mean square of the difference from the routed layer's output, relative to the mean square of that output. An export
            that does nothing has 1. It is that of the written tensors, after rounding to their data type.
        mean_loss: the same for the export ``mean``.
    """

    layer: str
    loss: Amount
    mean_loss: Amount


class Distilled(Record):
    """How an export was trained to predict what the routed adapter predicts.

    Attributes:
        steps: number of optimiser steps.
        batch_size: examples per step.
        learning_rate: peak learning rate.
        seed: seed of the order of the examples.
        tokens: training tokens without padding.
        start: divergence on the validation rows before the training, as in `PlainExport`.
    """

    steps: Positive
    batch_size: Positive
    learning_rate: Amount
    seed: Count
    tokens: Count
    start: Amount


class PlainAdapter(Record):
    """One plain LoRA adapter.

    Attributes:
        folder: its folder, relative to ``export.json``.
        fingerprint: SHA-256 of its configuration and weights.
        parameters: number of its parameters.
        rows: validation rows that it stands for.
    """

    folder: str
    fingerprint: str
    parameters: Positive
    rows: Positive


class PlainExport(Record):
    """One way of exporting.

    Attributes:
        how: ``mean``, ``family``, ``fit`` or ``distil``.
        rank: rank of the adapters.
        adapters: the adapters. ``family`` has one for each family, by its name; the others have one under the key ``all``.
        divergence: mean of KL(routed ‖ plain) over the tokens of the answers of all validation rows, in nats. ``family`` uses the
            adapter of each row's family.
        layers: the fit of each layer; empty except for ``fit`` and ``distil``, which starts from it.
        ridge: the penalty of the fit; None except for ``fit`` and ``distil``.
        distilled: the training; None except for ``distil``.
    """

    how: str
    rank: Positive
    adapters: dict[str, PlainAdapter]
    divergence: Amount
    layers: Items[LayerFit]
    ridge: Amount | None
    distilled: Distilled | None


class MeasuredExport(Record):
    """The evaluation of one way of exporting, on the samples of the routed adapter.

    Attributes:
        how: ``mean``, ``family``, ``fit`` or ``distil``.
        score: ``average``, ``chance_normalised`` and ``soft`` in points, and what retention measures in nats per token: ``drift``
            from the base on its own texts, and the change of the ``loss`` on unrelated text. ``family`` has no retention, because
            no single adapter answers.
        difference: the same minus that of the routed adapter, paired.
        families: difference of each family's score, in points.
    """

    how: str
    score: dict[str, Interval]
    difference: dict[str, Interval]
    families: dict[str, Interval]


class Measured(Record):
    """What the exports lose.

    Attributes:
        tier: tier of the evaluations.
        source: hub, mini or the mirror's name.
        dtype: data type of the weights.
        samples: number of samples.
        routed: the scores of the routed adapter, as in `MeasuredExport`.
        exports: the evaluations.
        worth: what the router is worth, for ``average`` and ``soft``: the routed adapter minus the best export with a single
            adapter. The interval covers the choice of the best. Empty if ``family`` is the only export.
        best: the best export of each metric.
    """

    tier: str
    source: str
    dtype: str
    samples: Positive
    routed: dict[str, Interval]
    exports: Items[MeasuredExport]
    worth: dict[str, Interval]
    best: dict[str, str]


class Export(Artefact):
    """The record of an export (``cme export-lora``).

    Attributes:
        name: name of the routed adapter's folder.
        base: name of the base model.
        base_fingerprint: SHA-256 of its configuration and weights.
        adapter: the routed adapter.
        experts: number of experts, k.
        expert_rank: rank of each expert.
        mix_fingerprint: fingerprint of the mix whose rows were used.
        prompt_format: prompt format of the rows.
        rows: number of validation rows.
        tokens: number of their tokens.
        answer_tokens: number of the tokens of their answers, over which the divergences are averaged.
        dtype: data type of the base's weights in the export.
        gates: mean gate weights of each layer over all validation tokens.
        exports: the ways of exporting.
        measured: what the exports lose; None without ``--measure``.
        versions: versions of the libraries.
        finished: UTC time, ISO 8601.
    """

    KIND: ClassVar[str] = "export"
    SCHEMA_VERSION: ClassVar[int] = 1

    name: str
    base: str
    base_fingerprint: str
    adapter: AdapterInfo
    experts: Positive
    expert_rank: Positive
    mix_fingerprint: str
    prompt_format: str
    rows: Positive
    tokens: Positive
    answer_tokens: Positive
    dtype: str
    gates: dict[str, Items[float]]
    exports: Items[PlainExport]
    measured: Measured | None
    versions: dict[str, str]
    finished: str
