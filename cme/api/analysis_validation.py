"""Measures the validation loss of an adapter under all masks of an analysis. Finished masks are not measured again."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from cme.adapters.routed.gates import routed_layers
from cme.adapters.routed.masks import masked_experts
from cme.analysis.answer_loss import AnswerLoss, AnswerRow
from cme.analysis.load import Array
from cme.analysis.loss_masks import LossMasks
from cme.analysis.loss_table import LossTable
from cme.files import atomic_path
from cme.progress import bar

__all__ = ["measure_losses", "model_masks"]


def model_masks(model: Any, experts: int, draws: int, adapter_name: str = "default") -> LossMasks:
    """Return the masks for the layers of a model.

    Args:
        model: the model with the adapter.
        experts: number of experts.
        draws: number of draws of bundles.
        adapter_name: name of the adapter.
    """
    layers = [path for path, layer in routed_layers(model).items() if adapter_name in layer.plans]
    return LossMasks(experts, layers, draws)


def measure_losses(
    model: Any, rows: Sequence[AnswerRow], masks: LossMasks, folder: Path, *, pad: int, key: str, title: str
) -> LossTable:
    """Measure the losses of the rows under every mask.

    Args:
        model: the model with the adapter, in evaluation mode.
        rows: the rows.
        masks: the masks.
        folder: folder of the finished masks.
        pad: token id of the padding.
        key: digest of everything that determines the losses, except for the mask.
        title: title of the progress bar.
    """
    meter = AnswerLoss(rows, pad, next(model.parameters()).device)
    losses = []
    with bar(title, total=len(masks.masks)) as shown:
        for name, mask in masks.masks.items():
            file = folder / f"{name}.npz"
            values = _read(file, key, len(rows))
            if values is None:
                with masked_experts(model, mask.keep, mask.how):
                    values = meter.measure(model)
                _write(file, key, values)
            losses.append(values)
            shown.advance()
    return LossTable(
        masks=tuple(masks.masks),
        datasets=tuple(row.dataset for row in rows),
        families=tuple(row.family for row in rows),
        ids=tuple(row.id for row in rows),
        clusters=tuple(row.cluster for row in rows),
        tokens=np.array([len(row.ids) - row.context for row in rows]),
        losses=np.stack(losses),
    )


def _write(file: Path, key: str, losses: Array) -> None:
    with atomic_path(file) as temporary, temporary.open("wb") as opened:
        np.savez(opened, key=np.array([key], dtype=np.str_), losses=losses)


def _read(file: Path, key: str, rows: int) -> Array | None:
    """Return the losses of a finished mask, or None if the file does not exist, is damaged or has another key."""
    try:
        with np.load(file, allow_pickle=False) as stored:
            losses: Array = stored["losses"]
            return losses if str(stored["key"][0]) == key and losses.shape == (rows,) else None
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None
