"""The optional balance term: experts that every token passes by, or all go to, cost something."""

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
"""Projections in the decoder whose input is the encoder's output (T5; BART, Whisper; others)."""


def mean_gate(gates: Tensor, mask: Tensor | None) -> Tensor:
    """Each expert's mean weight over the tokens.

    Args:
        gates: [batch, length, k] (or [tokens, k]).
        mask: [batch, length], 0 where a token is padding. It is applied to gates of its own batch and length; others
            (a vision tower's) are taken whole.

    Returns:
        [k] in float32.
    """
    if mask is not None and gates.shape[:-1] == mask.shape:
        keep = mask.to(gates.dtype).unsqueeze(-1)
        return (gates * keep).flatten(0, -2).sum(0) / keep.sum().clamp(min=1)
    return gates.flatten(0, -2).mean(0)


def deviation(means: Tensor, form: str) -> Tensor:
    """What the balance term squares: ``mean - 1/k``, or ``k · mean - 1/k`` as in TeamLoRA's released code.

    Args:
        means: each expert's mean weight, [k].
        form: ``"centred"`` or ``"released"``.
    """
    k = means.shape[-1]
    return (means * k if form == "released" else means) - 1 / k


def balance_term(layers: Sequence[tuple[Tensor, Tensor | None]], form: str = "centred") -> Tensor:
    """Mean over layers and experts of (mean gate - 1/k)².

    Args:
        layers: of each, its gates [batch, length, k] (or [tokens, k]), each token's sum being 1, and a mask
            [batch, length] for them, 0 where a token is padding, as for `mean_gate`.
        form: ``"released"`` gives (k · mean gate - 1/k)², TeamLoRA's released term. Where the gates sum to 1 its gradient is
            k² times that of the centred term, and its least value is not 0.

    Returns:
        A float32 scalar; with the centred form 0 when all experts weigh the same on average.
    """
    terms = [deviation(mean_gate(gate, mask), form).square().mean() for gate, mask in layers]
    return torch.stack(terms).mean()


def layer_masks(kwargs: dict[str, Any], *, encodes: bool) -> Callable[[str], Tensor | None]:
    """Which tokens are no padding, for each layer by its name.

    In an encoder-decoder model, layers of the decoder take the decoder's mask (without one: where there is a label),
    but for the projections in its cross-attention that read the encoder's output.

    Args:
        kwargs: what the model was called with.
        encodes: whether it is an encoder-decoder model.
    """
    mask = _plain(kwargs.get("attention_mask"))
    if not encodes:
        return lambda name: mask
    decoder = _plain(kwargs.get("decoder_attention_mask"))
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
    whole, labels = kwargs.get("num_items_in_batch"), kwargs.get("shift_labels")
    if whole is None or (labels is None and kwargs.get("labels") is None):
        return 1.0
    if labels is None:
        labels = kwargs["labels"][..., 1:] if shifts else kwargs["labels"]
    share: Tensor = labels.ne(-100).sum() / whole
    return share


def _plain(mask: Any) -> Tensor | None:
    """A mask [batch, length]; others, such as those for attention itself, say nothing of single tokens."""
    return mask if isinstance(mask, Tensor) and mask.dim() == 2 else None
