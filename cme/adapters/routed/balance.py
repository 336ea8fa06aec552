"""The optional balance term: experts that every token passes by, or all go to, cost something."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from cme.adapters.routed.layer import RoutedLinear

__all__ = ["balance_term", "recorded_gates", "share_of_batch"]


@contextmanager
def recorded_gates(layers: Sequence[RoutedLinear]) -> Iterator[Sequence[RoutedLinear]]:
    """While open, each of the layers keeps its last gates in ``layer.gates``; on leaving they are let go."""
    for layer in layers:
        layer.record_gates = True
    try:
        yield layers
    finally:
        for layer in layers:
            layer.record_gates = False
            layer.gates.clear()


def balance_term(gates: Sequence[Tensor], mask: Tensor | None) -> Tensor:
    """Mean over layers and experts of (mean gate - 1/k)².

    Args:
        gates: of each layer, [batch, length, k] (or [tokens, k]); each token's sum to 1.
        mask: [batch, length], 0 where a token is padding. It is applied to gates of its own batch and length; others
            (a decoder's, with the mask of the encoder) are taken whole.

    Returns:
        A float32 scalar, 0 when all experts weigh the same on average.
    """
    terms = []
    for gate in gates:
        if mask is not None and gate.shape[:-1] == mask.shape:
            keep = mask.to(gate.dtype).unsqueeze(-1)
            usage = (gate * keep).flatten(0, -2).sum(0) / keep.sum().clamp(min=1)
        else:
            usage = gate.flatten(0, -2).mean(0)
        terms.append((usage - 1 / gate.shape[-1]).square().mean())
    return torch.stack(terms).mean()


def share_of_batch(kwargs: dict[str, Any], *, shifts: bool) -> Tensor | float:
    """This forward's share of the predicted tokens of one optimiser step.

    The Trainer hands the step's token count to the model, which divides its loss by it; the balance term must be
    weighted in the same way, or gradient accumulation would multiply it.

    Args:
        kwargs: what the model was called with.
        shifts: whether the first label of a row is never predicted (decoder-only models).

    Returns:
        1 without such a count.
    """
    whole = kwargs.get("num_items_in_batch")
    if whole is None:
        return 1.0
    labels = kwargs.get("shift_labels")
    if labels is None:
        labels = kwargs["labels"][..., 1:] if shifts else kwargs["labels"]
    share: Tensor = labels.ne(-100).sum() / whole
    return share
