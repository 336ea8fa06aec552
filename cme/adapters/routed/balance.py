"""The optional balance term of the loss, which penalises uneven use of the experts."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["FORMS", "balance_term", "layer_masks", "layer_term", "mean_gate", "share_of_batch", "shares_of_choices"]

FORMS = ("centred", "released", "switch")
"""The forms of the balance term."""

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


def shares_of_choices(gates: Tensor, chosen: Tensor | None, mask: Tensor | None) -> Tensor:
    """Compute the share of each expert in all choices of a router. The shares sum to 1 and have no gradient.

    Args:
        gates: Gate weights, as for `mean_gate`.
        chosen: 1 for each expert that a token uses and 0 for the others, in the shape of ``gates``. None counts the expert
            with the largest gate weight, as in the Switch Transformer.
        mask: As for `mean_gate`.
    """
    with torch.no_grad():
        if chosen is None:
            chosen = torch.zeros_like(gates).scatter(-1, gates.argmax(-1, keepdim=True), 1.0)
        means = mean_gate(chosen.float(), mask)
        return means / means.sum().clamp(min=1e-30)


def layer_term(means: Tensor, form: str, shares: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Compute the balance term of one layer and its derivative.

    * ``centred``: the mean over experts of (mean gate weight - 1/k)².
    * ``released``: the mean over experts of (k · mean gate weight - 1/k)², as in TeamLoRA's released code.
    * ``switch``: k · Σ (share of the choices · mean gate weight), as in the Switch Transformer (arXiv 2101.03961) and Mixtral.

    Args:
        means: Each expert's mean gate weight, [k].
        form: One of `FORMS`.
        shares: For ``switch``, each expert's share of the choices, [k], from `shares_of_choices`.

    Returns:
        The term, a scalar, and its derivative by the means, [k].
    """
    k = means.shape[-1]
    if form == "switch":
        assert shares is not None
        return k * (shares * means).sum(), k * shares
    off = (means * k if form == "released" else means) - 1 / k
    return off.square().mean(), off * (2 if form == "released" else 2 / k)


def balance_term(
    layers: Sequence[tuple[Tensor, Tensor | None]],
    form: str = "centred",
    choices: Sequence[Tensor | None] | None = None,
) -> Tensor:
    """Compute the mean of `layer_term` over layers.

    Args:
        layers: For each layer, its gate weights, which sum to 1 for each token, and a mask, both as for `mean_gate`.
        form: One of `FORMS`. If the gate weights sum to 1, the gradient of the term ``"released"`` is k² times that of
            ``"centred"``, and its minimum is not 0.
        choices: For each layer, the experts that its tokens use, as for `shares_of_choices`. It matters for ``"switch"`` only.

    Returns:
        A float32 scalar. If all experts have the same mean gate weight, the centred term is 0, and the switch term is 1.
    """
    terms = []
    for place, (gates, mask) in enumerate(layers):
        chosen = None if choices is None else choices[place]
        shares = shares_of_choices(gates, chosen, mask) if form == "switch" else None
        terms.append(layer_term(mean_gate(gates, mask), form, shares)[0])
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
