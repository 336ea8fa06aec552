"""Measures the validation loss of an adapter under all masks of an analysis. Finished masks are not measured again."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from cme.adapters.routed.gates import routed_layers
from cme.adapters.routed.masks import masked_experts
from cme.analysis.answer_loss import AnswerLoss
from cme.analysis.load import Array
from cme.analysis.loss_masks import LossMasks
from cme.analysis.loss_table import LossTable
from cme.files import atomic_path
from cme.progress import bar
from cme.training.mix_rows import MixRow

__all__ = ["measure_losses", "model_masks"]


def model_masks(model: Any, experts: int, draws: int, adapter_name: str = "default", *, top1: bool = True) -> LossMasks:
    """Return the masks for the layers of a model.

    Args:
        model: the model with the adapter.
        experts: number of experts.
        draws: number of draws of bundles.
        adapter_name: name of the adapter.
        top1: whether a token can have a best expert.
    """
    layers = [path for path, layer in routed_layers(model).items() if adapter_name in layer.plans]
    return LossMasks(experts, layers, draws, top1=top1)


def measure_losses(
    model: Any, rows: Sequence[MixRow], masks: LossMasks, folder: Path, *, pad: int, key: str, title: str
) -> tuple[LossTable, float]:
    """Measure the losses of the rows under every mask.

    Args:
        model: the model with the adapter, in evaluation mode.
        rows: the rows.
        masks: the masks.
        folder: folder of the finished masks.
        pad: token id of the padding.
        key: digest of everything that determines the losses, except for the mask.
        title: title of the progress bar.

    Returns:
        The losses, and the share of the gate weights of single tokens that could not be renormalised under
        ``top1-renormalised`` (`cme.adapters.routed.masks.MaskCounts`).
    """
    meter = AnswerLoss(rows, pad, next(model.parameters()).device)
    losses, guarded = [], 0.0
    with bar(title, total=len(masks.masks)) as shown:
        for name, mask in masks.masks.items():
            file = folder / f"{name}.npz"
            stored = _read(file, key, len(rows))
            if stored is None:
                with masked_experts(model, mask.keep, mask.how) as counts:
                    values = meter.measure(model, counts.only)
                stored = values, counts.guarded / max(counts.positions, 1)
                _write(file, key, *stored)
            losses.append(stored[0])
            guarded = stored[1] if name == "top1-renormalised" else guarded
            shown.advance()
    table = LossTable(
        masks=tuple(masks.masks),
        datasets=tuple(row.dataset for row in rows),
        families=tuple(row.family for row in rows),
        ids=tuple(row.id for row in rows),
        clusters=tuple(row.cluster for row in rows),
        tokens=np.array([len(row.ids) - row.context for row in rows]),
        losses=np.stack(losses),
    )
    return table, guarded


def _write(file: Path, key: str, losses: Array, guarded: float) -> None:
    with atomic_path(file) as temporary, temporary.open("wb") as opened:
        np.savez(opened, key=np.array([key], dtype=np.str_), losses=losses, guarded=np.array(guarded))


def _read(file: Path, key: str, rows: int) -> tuple[Array, float] | None:
    """Return the losses of a finished mask, or None if the file does not exist, is damaged or has another key."""
    try:
        with np.load(file, allow_pickle=False) as stored:
            losses: Array = stored["losses"]
            sound = str(stored["key"][0]) == key and losses.shape == (rows,)
            return (losses, float(stored["guarded"])) if sound else None
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None
