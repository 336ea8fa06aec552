"""The optional balance term: experts that every token passes by, or all go to, cost something."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from cme.adapters.routed.gates import mean_gate

__all__ = ["balance_term", "layer_masks", "share_of_batch"]

_DECODER = re.compile(r"(^|\.)decoder\.")
_OF_ENCODER = re.compile(
    r"\.(EncDecAttention|encoder_attn|cross_?attn|cross_?attention)\.(.*\.)?(k|v|key|value)(_proj)?$"
)
"""Projections in the decoder whose input is the encoder's output (T5; BART, Whisper; others)."""


def balance_term(layers: Sequence[tuple[Tensor, Tensor | None]]) -> Tensor:
    """Mean over layers and experts of (mean gate - 1/k)².

    Args:
        layers: of each, its gates [batch, length, k] (or [tokens, k]), each token's sum being 1, and a mask
            [batch, length] for them, 0 where a token is padding, as for `mean_gate`.

    Returns:
        A float32 scalar, 0 when all experts weigh the same on average.
    """
    terms = [(mean_gate(gate, mask) - 1 / gate.shape[-1]).square().mean() for gate, mask in layers]
    return torch.stack(terms).mean()


def layer_masks(kwargs: dict[str, Any], *, encodes: bool) -> Callable[[str], Tensor | None]:
    """Which tokens are no padding, for each layer by its name.

    In an encoder-decoder model, layers of the decoder take the decoder's mask (without one: where there is a label),
    but for the projections in its cross-attention that read the encoder's output.

    Args:
        kwargs: what the model was called with.
        encodes: whether it is an encoder-decoder model.
    """
    mask = kwargs.get("attention_mask")
    if not encodes:
        return lambda name: mask
    decoder = kwargs.get("decoder_attention_mask")
    if decoder is None and kwargs.get("labels") is not None:
        decoder = kwargs["labels"].ne(-100)
    return lambda name: decoder if _DECODER.search(name) and not _OF_ENCODER.search(name) else mask


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
