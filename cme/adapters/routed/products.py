"""The one routed core: every method with experts and a gate per token runs as two matrix products.

Shapes: ``d`` inputs, ``m`` outputs, ``k`` experts of rank ``r`` each; ``...`` stands for batch and sequence.

| method | ``hidden`` (``h = A x``) | gates |
| --- | --- | --- |
| MoELoRA, TeamLoRA | ``k·r`` columns: the experts' A matrices stacked | one weight for each block of ``r`` columns |
| HydraLoRA | ``r`` columns: one A | outer product, which gives ``k·r`` columns |

Without competition and dropout, MoELoRA with its A matrices stacked and TeamLoRA are the same function of the same
numbers; the expert loop of the papers costs time and changes nothing.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from cme.adapters.low_rank.products import add_product, autocast_on

__all__ = ["add_routed", "compete", "competitive_gates", "normalised", "project", "softmax_gates"]

# 1/t is taken as t/(t² + ε²): equal within float32 rounding while |t| > 0.3, and never beyond 1/(2ε) = 5000.
_GUARD = 1e-4**2


def project(x: Tensor, dropped: Tensor, down: Tensor, router: Tensor) -> tuple[Tensor, Tensor]:
    """The experts' hidden values and the router's, in one product where that is cheaper.

    Args:
        x: inputs, [..., d]: what the router sees.
        dropped: the inputs after dropout: what the experts see; the same tensor as ``x`` when nothing drops out.
        down: the experts' A, [R, d].
        router: the router's first matrix, [h, d].

    Returns:
        ``dropped Aᵀ`` [..., R] and ``x Wᵀ`` [..., h].
    """
    # Stacking the rows copies A; reading x a second time is dearer only if x is larger than that (in training it is).
    if dropped is x and x.numel() > 2 * down.numel():
        both = F.linear(x, torch.cat((down, router)))
        hidden, routed = torch.split_with_sizes(both, (down.shape[0], router.shape[0]), -1)
        return hidden, routed
    return F.linear(dropped, down), F.linear(x, router)


def softmax_gates(logits: Tensor) -> Tensor:
    """Gates of MoELoRA and HydraLoRA: softmax over the experts, in float32 whatever the model's type.

    Args:
        logits: [..., k].

    Returns:
        [..., k] in float32; they sum to 1.
    """
    return torch.softmax(logits, dim=-1, dtype=torch.float32)


def competitive_gates(logits: Tensor, interaction: Tensor) -> Tensor:
    """TeamLoRA's competition with normalised gates: ``ω = M φ / Σ(M φ)`` with ``φ = softmax(logits)``.

    Args:
        logits: [..., k].
        interaction: M, [k, k], as for `compete`.

    Returns:
        [..., k] in float32; they sum to 1.
    """
    return normalised(compete(softmax_gates(logits), interaction))


def compete(values: Tensor, interaction: Tensor) -> Tensor:
    """TeamLoRA's competition as its paper has it: ``ω = M φ``, without normalisation.

    φ approximates the experts' fuzzy Shapley values, M how they bear on each other (arXiv 2408.09856, "Competition").
    Nothing is clipped: a gate may be negative.

    Args:
        values: φ, [..., k] in float32, from `softmax_gates`.
        interaction: M, [k, k]; row i says what expert i takes from every expert's value. The released code multiplies the
            row vector φ by I + M_released, so M = (I + M_released)ᵀ.

    Returns:
        [..., k] in float32. At TeamLoRA's start they sum to about 1.
    """
    if interaction.dtype != values.dtype:
        interaction = interaction.to(values.dtype)
    if autocast_on(values):
        with torch.autocast(values.device.type, enabled=False):
            return F.linear(values, interaction)
    return F.linear(values, interaction)


def normalised(gates: Tensor) -> Tensor:
    """Gates divided by their sum, which is guarded where it comes near zero.

    Args:
        gates: [..., k].

    Returns:
        [..., k]; they sum to 1. They stay finite, and are zero where the sum is exactly zero.
    """
    total = gates.sum(dim=-1, keepdim=True)
    return gates * (total / (total * total + _GUARD))


def add_routed(base: Tensor, hidden: Tensor, gates: Tensor, up: Tensor, scaling: float) -> Tensor:
    """The base layer's output plus the gated experts': ``base + scaling · Σ_i g_i B_i h_i``.

    Args:
        base: output of the frozen layer, [..., m].
        hidden: ``h``: [..., k·r], or [..., r] where the experts share one h (HydraLoRA).
        gates: [..., k].
        up: the experts' B matrices side by side, [m, k·r]; expert i has the columns i·r to (i+1)·r.
        scaling: alpha / r, times the gates' scale.

    Returns:
        [..., m] in the base's type (arXiv 2408.09856, "Collaboration"), as one product that adds onto ``base``.
    """
    columns = up.shape[1]
    experts = gates.shape[-1]
    rank = columns // experts
    gated = hidden.reshape(-1, hidden.shape[-1] // rank, rank) * gates.reshape(-1, experts, 1)
    return add_product(base, gated, up, scaling)
