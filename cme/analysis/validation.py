"""What experts do to the validation loss: redundancy, Shapley values, bundles, and groups of layers."""

from collections.abc import Sequence

import numpy as np

from cme.analysis.bundles import bundle_test
from cme.analysis.layer_groups import block_of
from cme.analysis.loss_masks import SEED, LossMasks
from cme.analysis.loss_table import LossTable
from cme.records.expert_values import ExpertValues
from cme.records.validation import LayerGroup, MaskLoss, ValidationAnalysis
from cme.suite.experts.redundancy import combined, fieller
from cme.suite.experts.shapley import expert_values, values_of_samples

__all__ = ["FEWEST_CLUSTERS", "validation_analysis"]

FEWEST_CLUSTERS = 20
"""Fewest clusters of rows with intervals."""


def validation_analysis(
    table: LossTable, masks: LossMasks, *, mix_fingerprint: str, dropped: int = 0, guarded: float = 0.0
) -> ValidationAnalysis:
    """Compute everything that follows from the losses.

    Args:
        table: the losses under all masks.
        masks: the masks.
        mix_fingerprint: fingerprint of the mix.
        dropped: number of rows that were left out.
        guarded: share of gate weights that could not be renormalised.
    """
    clusters = len(set(table.clusters))
    intervals = clusters >= FEWEST_CLUSTERS
    bundles = masks.bundles()
    full = table.losses[table.masks.index("all")]
    return ValidationAnalysis(
        mix_fingerprint=mix_fingerprint,
        rows=len(table.ids),
        clusters=clusters,
        dropped=dropped,
        tokens=int(table.tokens.sum()),
        token_loss=float(full.sum() / table.tokens.sum()),
        guarded=guarded,
        masks=tuple(_mask_losses(table, masks, intervals)),
        shapley=_shapley("validation loss", table, masks.coalitions(), intervals) if masks.exact else None,
        bundles=bundle_test(
            [table.mean(name) for name in masks.alone()],
            [[table.mean(name) for name in draw] for draw in bundles],
            seed=SEED,
        )
        if bundles
        else None,
        groups=tuple(_group(name, layers, table, masks, intervals) for name, layers in masks.groups.items()),
    )


def _mask_losses(table: LossTable, masks: LossMasks, intervals: bool) -> list[MaskLoss]:
    names = list(masks.reported)
    means, unit = table.means(names), np.eye(len(names))
    full, base = unit[names.index("all")], unit[names.index("base")]
    return [
        MaskLoss(
            name=name,
            experts=masks.reported[name],
            loss=combined(means, own, intervals),
            difference=combined(means, own - full, intervals),
            share_of_gain=fieller(means, base - own, base - full, intervals),
        )
        for name, own in zip(names, unit, strict=True)
    ]


def _shapley(name: str, table: LossTable, coalitions: Sequence[str], intervals: bool) -> ExpertValues:
    of_rows = values_of_samples(-table.values[table.places(coalitions)])
    return expert_values(
        name, {"validation": of_rows}, {"validation": table.clusters}, {"validation": 1.0}, None, intervals
    )


def _group(name: str, layers: Sequence[str], table: LossTable, masks: LossMasks, intervals: bool) -> LayerGroup:
    coalitions = masks.coalitions(name)
    ends = table.means([coalitions[0], coalitions[-1]])
    return LayerGroup(
        name=name,
        blocks=len(set(map(block_of, layers))),
        layers=tuple(layers),
        values=_shapley(name, table, coalitions, intervals),
        gain=combined(ends, np.array([1.0, -1.0]), intervals),
    )
