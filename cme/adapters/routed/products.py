"""The matrix products of all routed methods. Each method needs two products instead of a loop over experts.

A layer has ``d`` inputs and ``m`` outputs. There are ``k`` experts of rank ``r``. In shapes, ``...`` stands for batch and
sequence.

| method | ``hidden`` (``h = A x``) | gate weights |
| --- | --- | --- |
| MoELoRA, TeamLoRA | ``k·r`` columns: the experts' A matrices stacked | one weight for each block of ``r`` columns |
| MoLA, AdaMoLE | the same | the same, 0 for experts that a token does not use |
| HydraLoRA, CoMoL | ``r`` columns: one A | outer product, which gives ``k·r`` columns |
| SMoRA, FlyLoRA | ``R`` columns: one A | one weight for each column |

Without competition and dropout, TeamLoRA and MoELoRA with stacked A matrices compute the same function of the same
parameters. The loop over experts in the papers' code is slower and gives the same outputs.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from cme.adapters.low_rank.products import add_product, autocast_on

__all__ = ["add_routed", "compete", "competitive_gates", "largest", "mix", "normalised", "project", "softmax_gates"]

# 1/t is computed as t/(t² + ε²). Both agree within float32 rounding for |t| > 0.3, and the latter never exceeds 1/(2ε) = 5000.
_GUARD = 1e-4**2


def project(x: Tensor, dropped: Tensor, down: Tensor, router: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the hidden values of the experts and of the router, with one product if that is faster.

    Args:
        x: The inputs of the router, [..., d].
        dropped: The inputs of the experts after dropout, [..., d]. Without dropout it is the same tensor as ``x``.
        down: The experts' matrix A, [R, d].
        router: The router's first matrix W, [h, d].

    Returns:
        ``dropped Aᵀ`` [..., R] and ``x Wᵀ`` [..., h].
    """
    # Stacking the matrices copies A. This is worth it only if x, which is read once instead of twice, is larger than A.
    if dropped is x and x.numel() > 2 * down.numel():
        both = F.linear(x, torch.cat((down, router)))
        hidden, routed = torch.split_with_sizes(both, (down.shape[0], router.shape[0]), -1)
        return hidden, routed
    return F.linear(dropped, down), F.linear(x, router)


def softmax_gates(logits: Tensor) -> Tensor:
    """Compute the gate weights of MoELoRA and HydraLoRA, the softmax over the experts.

    Args:
        logits: Outputs of the router, [..., k].

    Returns:
        The gate weights [..., k] in float32, whatever the model's dtype. They sum to 1.
    """
    return torch.softmax(logits, dim=-1, dtype=torch.float32)


def largest(values: Tensor, number: int) -> Tensor:
    """Mark the largest values of each token. The result has no gradient.

    Args:
        values: Values of the experts, [..., k].
        number: How many of them to mark.

    Returns:
        1 for the marked experts and 0 for the others, [..., k], in the dtype of ``values``.
    """
    values = values.detach()
    return torch.zeros_like(values).scatter(-1, values.topk(number, dim=-1, sorted=False).indices, 1.0)


def competitive_gates(logits: Tensor, interaction: Tensor) -> Tensor:
    """Compute TeamLoRA's normalised gate weights ``ω = M φ / Σ(M φ)`` with ``φ = softmax(logits)``.

    Args:
        logits: Outputs of the router, [..., k].
        interaction: The interaction matrix M, [k, k], as for `compete`.

    Returns:
        The gate weights [..., k] in float32. They sum to 1.
    """
    return normalised(compete(softmax_gates(logits), interaction))


def compete(values: Tensor, interaction: Tensor) -> Tensor:
    """Compute TeamLoRA's gate weights ``ω = M φ`` as in its paper, without normalisation.

    In the paper, φ approximates the experts' fuzzy Shapley values and M their interactions (arXiv 2408.09856,
    "Competition"). Gate weights are not clipped and can be negative.

    Args:
        values: φ, [..., k] in float32, from `softmax_gates`.
        interaction: The interaction matrix M, [k, k]. Row i holds the weights of all experts' values in the gate weight of
            expert i. The released code multiplies the row vector φ by I + M_released, so M = (I + M_released)ᵀ.

    Returns:
        The gate weights [..., k] in float32. At TeamLoRA's initialisation they sum to about 1.
    """
    if interaction.dtype != values.dtype:
        interaction = interaction.to(values.dtype)
    if autocast_on(values):
        with torch.autocast(values.device.type, enabled=False):
            return F.linear(values, interaction)
    return F.linear(values, interaction)


def normalised(gates: Tensor) -> Tensor:
    """Divide the gate weights by their sum, with a guard against sums near zero.

    Args:
        gates: Gate weights, [..., k].

    Returns:
        The normalised gate weights [..., k], which sum to 1. They are always finite, and zero if the sum is exactly zero.
    """
    total = gates.sum(dim=-1, keepdim=True)
    return gates * (total / (total * total + _GUARD))


def add_routed(base: Tensor, hidden: Tensor, gates: Tensor, up: Tensor, scaling: float) -> Tensor:
    """Add the gated outputs of the experts: ``base + scaling · Σ_i g_i B_i h_i`` (arXiv 2408.09856, "Collaboration").

    Args:
        base: The output of the frozen layer, [..., m].
        hidden: The hidden values h, [..., k·r], or [..., r] if the experts share them (HydraLoRA).
        gates: The gate weights, [..., k].
        up: The experts' B matrices side by side, [m, k·r]. Expert i has the columns from i·r up to, but not including,
            (i+1)·r.
        scaling: The factor of the output: alpha / r, times the scale of the gate weights.

    Returns:
        The sum [..., m] in the dtype of ``base``, computed with one fused product.
    """
    columns = up.shape[1]
    experts = gates.shape[-1]
    rank = columns // experts
    gated = hidden.reshape(-1, hidden.shape[-1] // rank, rank) * gates.reshape(-1, experts, 1)
    return add_product(base, gated, up, scaling)


def mix(hidden: Tensor, gates: Tensor, cores: Tensor) -> Tensor:
    """Mix the products with the core matrices of CoMoL: ``Σ_i g_i M_iᵀ h`` (arXiv 2603.00573), with one product.

    Args:
        hidden: The hidden values h = A x, [..., r].
        gates: The gate weights, [..., k].
        cores: The core matrices M, [k, r, r].

    Returns:
        The mixed values [..., r] in the dtype of ``cores``.
    """
    experts, rank, _ = cores.shape
    gated = hidden.reshape(-1, 1, rank) * gates.reshape(-1, experts, 1)
    if gated.dtype != cores.dtype:
        gated = gated.to(cores.dtype)
    return (gated.reshape(-1, experts * rank) @ cores.flatten(0, 1)).view(hidden.shape)
