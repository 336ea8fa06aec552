"""The optional balance term of the loss, which penalises uneven use of the experts."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["balance_term", "deviation", "layer_masks", "mean_gate", "share_of_batch"]

_DECODER = re.compile(r"(^|\.)decoder\.")
_OF_ENCODER = re.compile(
    r"\.(EncDecAttention|encoder_attn|cross_?attn|cross_?attention)\.(.*\.)?(k|v|key|value)(_proj)?$"
)
"""Projections in the decoder whose input is the encoder's output, in T5, BART, Whisper and others."""


def mean_gate(gates: Tensor, mask: Tensor | None) -> Tensor:
    """Compute each expert's mean gate weight over the tokens.

    Args:
        gates: Gate weights, [batch, length, k] or [tokens, k].
        mask: [batch, length], 0 for padding. It is applied only if the gate weights have the same batch and length. Those of
            a vision tower, for example, are averaged without a mask.

    Returns:
        The means [k] in float32.
    """
    if mask is not None and gates.shape[:-1] == mask.shape:
        keep = mask.to(gates.dtype).unsqueeze(-1)
        return (gates * keep).flatten(0, -2).sum(0) / keep.sum().clamp(min=1)
    return gates.flatten(0, -2).mean(0)


def deviation(means: Tensor, form: str) -> Tensor:
    """Compute the deviation that the balance term squares.

    It is ``mean - 1/k``, or ``k · mean - 1/k`` as in TeamLoRA's released code.

    Args:
        means: Each expert's mean gate weight, [k].
        form: ``"centred"`` or ``"released"``.
    """
    k = means.shape[-1]
    return (means * k if form == "released" else means) - 1 / k


def balance_term(layers: Sequence[tuple[Tensor, Tensor | None]], form: str = "centred") -> Tensor:
    """Compute the mean of (mean gate weight - 1/k)² over layers and experts.

    Args:
        layers: For each layer, its gate weights, which sum to 1 for each token, and a mask, both as for `mean_gate`.
        form: ``"centred"``, or ``"released"`` for TeamLoRA's released term (k · mean gate weight - 1/k)². If the gate
            weights sum to 1, the gradient of the released term is k² times that of the centred term, and its minimum is not 0.

    Returns:
        A float32 scalar. The centred term is 0 if all experts have the same mean gate weight.
    """
    terms = [deviation(mean_gate(gate, mask), form).square().mean() for gate, mask in layers]
    return torch.stack(terms).mean()


def layer_masks(kwargs: dict[str, Any], *, encodes: bool) -> Callable[[str], Tensor | None]:
    """Return a function that maps a layer's name to the padding mask of its input.

    In an encoder-decoder model, the layers of the decoder have the decoder's mask, except for the cross-attention projections
    that read the encoder's output. If no decoder mask is given, tokens with a label count as tokens of the decoder.

    Args:
        kwargs: The arguments of the model's forward call.
        encodes: Whether the model is an encoder-decoder.
    """
    mask = _plain(kwargs.get("attention_mask"))
    if not encodes:
        return lambda name: mask
    decoder = _plain(kwargs.get("decoder_attention_mask"))
    if decoder is None and kwargs.get("labels") is not None:
        decoder = kwargs["labels"].ne(-100)
    return lambda name: decoder if _DECODER.search(name) and not _OF_ENCODER.search(name) else mask


def share_of_batch(kwargs: dict[str, Any], *, shifts: bool) -> Tensor | float:
    """Compute the share of this forward pass in the predicted tokens of the optimiser step.

    The Trainer passes the number of tokens of the step to the model, which divides its loss by it. The balance term must be
    weighted in the same way, because gradient accumulation would multiply it otherwise.

    Args:
        kwargs: The arguments of the model's forward call.
        shifts: Whether the first label of a row is never predicted, as in decoder-only models.

    Returns:
        The share, or 1 if the call contains no number of tokens.
    """
    whole, labels = kwargs.get("num_items_in_batch"), kwargs.get("shift_labels")
    if whole is None or (labels is None and kwargs.get("labels") is None):
        return 1.0
    if labels is None:
        labels = kwargs["labels"][..., 1:] if shifts else kwargs["labels"]
    share: Tensor = labels.ne(-100).sum() / whole
    return share


def _plain(mask: Any) -> Tensor | None:
    """Return the mask if its shape is [batch, length]. Attention masks of other shapes do not mark padding."""
    return mask if isinstance(mask, Tensor) and mask.dim() == 2 else None
