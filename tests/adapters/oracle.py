"""Loops over experts that are written from the papers' equations. The fused forms must agree with them."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Experts = list[tuple[Tensor, Tensor]]
Gates = Callable[[Tensor], Tensor]


def softmax(logits: Tensor) -> Tensor:
    weights = torch.exp(logits - logits.max(-1, keepdim=True).values)
    return weights / weights.sum(-1, keepdim=True)


def team_gates(logits: Tensor, interaction: Tensor | None, *, free: bool = False) -> Tensor:
    """Compute ω of every token, one expert after the other (arXiv 2408.09856). Without an interaction matrix it is φ."""
    phi = softmax(logits)
    if interaction is None:
        return phi
    experts = range(logits.shape[-1])
    omega = torch.stack([sum(interaction[i, j] * phi[..., j] for j in experts) for i in experts], dim=-1)
    return omega if free else omega / omega.sum(-1, keepdim=True)


def _one(x: Tensor) -> Tensor:
    return torch.ones(*x.shape[:-1], 1)


def _lora(layer: Any, name: str) -> tuple[Experts, Gates, float]:
    down, up = layer.lora_A[name].weight, layer.lora_B[name].weight
    return [(down, up)], _one, layer.lora_alpha[name] / layer.r[name]


def _adalora(layer: Any, name: str) -> tuple[Experts, Gates, float]:
    """Compute P Λ Q. PEFT divides by the number of ranks that are left."""
    down, values, up = layer.lora_A[name], layer.lora_E[name], layer.lora_B[name]
    return [(down, up @ torch.diag(values[:, 0]))], _one, layer.lora_alpha[name] / (float(layer.ranknum[name]) + 1e-5)


def _moslora(layer: Any, name: str) -> tuple[Experts, Gates, float]:
    down, mixer, up = layer.moslora_A[name], layer.moslora_M[name], layer.moslora_B[name]
    return [(down, up @ mixer)], _one, _scale(layer.plans[name].config)


def _moelora(layer: Any, name: str) -> tuple[Experts, Gates, float]:
    config, router = layer.plans[name].config, layer.moelora_W[name]
    downs = layer.moelora_A[name].reshape(config.experts, config.r, -1)
    experts = list(zip(downs, _ups(layer.moelora_B[name], config), strict=True))
    return experts, lambda x: softmax(x @ router.T), _scale(config)


def _hydralora(layer: Any, name: str) -> tuple[Experts, Gates, float]:
    config, router, down = layer.plans[name].config, layer.hydralora_W[name], layer.hydralora_A[name]
    experts = [(down, up) for up in _ups(layer.hydralora_B[name], config)]
    return experts, lambda x: softmax(x @ router.T), _scale(config)


def _teamlora(layer: Any, name: str) -> tuple[Experts, Gates, float]:
    config = layer.plans[name].config
    downs = layer.teamlora_A[name].reshape(config.experts, config.r, -1)
    first, last = layer.teamlora_H[name] if config.router_hidden else None, layer.teamlora_S[name]
    interaction = layer.teamlora_M[name] if config.competition else None

    def gates(x: Tensor) -> Tensor:
        if first is not None:
            x = x @ first.T
            x = x * torch.sigmoid(x)
        return team_gates(x @ last.T, interaction, free=config.gate_sum == "free")

    experts = list(zip(downs, _ups(layer.teamlora_B[name], config), strict=True))
    return experts, gates, _scale(config)


def _mola(layer: Any, name: str) -> tuple[Experts, Gates, float]:
    """Compute the softmax over all experts, cut it to the largest, and divide by their sum (GCYZSL/MoLA)."""
    config, router = layer.plans[name].config, layer.mola_W[name]
    downs = layer.mola_A[name].reshape(config.experts, config.r, -1)

    def gates(x: Tensor) -> Tensor:
        phi = softmax(x @ router.T)
        kept = phi * _kept(phi, config.top_k)
        return kept / kept.sum(-1, keepdim=True)

    return list(zip(downs, _ups(layer.mola_B[name], config), strict=True)), gates, _scale(config)


def _adamole(layer: Any, name: str) -> tuple[Experts, Gates, float]:
    """Compute ω = relu(φ - τ) / Σ with τ = τmax · sigmoid(w·x + b) (zefang-liu/AdaMoLE)."""
    config, router, bias = layer.plans[name].config, layer.adamole_W[name], layer.adamole_T[name]
    downs = layer.adamole_A[name].reshape(config.experts, config.r, -1)
    most = config.max_threshold or 1 / config.experts

    def gates(x: Tensor) -> Tensor:
        phi = softmax(x @ router[:-1].T)
        tau = most / (1 + torch.exp(-(x @ router[-1] + bias)))
        above = torch.stack([(phi[..., i] - tau) * (phi[..., i] > tau) for i in range(config.experts)], dim=-1)
        return above / above.sum(-1, keepdim=True)

    return list(zip(downs, _ups(layer.adamole_B[name], config), strict=True)), gates, _scale(config)


def _comol(layer: Any, name: str) -> tuple[Experts, Gates, float]:
    """Compute a HydraLoRA whose heads are B Mᵢᵀ, with a router that reads A x (DCDmllm/CoMoL)."""
    config, router, down = layer.plans[name].config, layer.comol_W[name], layer.comol_A[name]
    experts = [(down, layer.comol_B[name] @ core.T) for core in layer.comol_M[name]]
    return experts, lambda x: softmax((x @ down.T if config.core_router else x) @ router.T), _scale(config)


def _kept(scores: Tensor, number: int) -> Tensor:
    """1 for the largest scores of each token, by sorting."""
    return (scores.argsort(-1, descending=True).argsort(-1) < number).to(scores.dtype)


def _smora(layer: Any, name: str) -> tuple[Experts, Gates, float]:
    """Compute α/a · a · Σ ĝᵢ Bᵢ Aᵢ x with ĝ = l / Σ l of the chosen, l = sigmoid(W x) + b (StyxXuan/smora)."""
    config, router, bias = layer.plans[name].config, layer.smora_W[name], layer.smora_b[name]

    def gates(x: Tensor) -> Tensor:
        scores = 1 / (1 + torch.exp(-x @ router.T)) + bias
        kept = scores * _kept(scores, config.top_k)
        return kept / kept.sum(-1, keepdim=True)

    return _ranks(layer.smora_A[name], layer.smora_B[name]), gates, config.lora_alpha / config.r * config.top_k


def _flylora(layer: Any, name: str) -> tuple[Experts, Gates, float]:
    """Compute α/R · B (y ⊙ mask), y = A x, where the mask keeps the largest of y + b (gfyddha/FlyLoRA)."""
    config, down, bias = layer.plans[name].config, layer.flylora_A[name], layer.flylora_b[name]

    def gates(x: Tensor) -> Tensor:
        scores = x @ down.T + bias
        return _kept(scores.abs() if config.by_magnitude else scores, config.top_k) / config.top_k

    return _ranks(down, layer.flylora_B[name]), gates, config.top_k * config.lora_alpha / config.r


def _ranks(down: Tensor, up: Tensor) -> Experts:
    return [(down[i : i + 1], up[:, i : i + 1]) for i in range(len(down))]


def _topklora(layer: Any, name: str) -> tuple[Experts, Gates, float]:
    config, router = layer.plans[name].config, layer.topklora_W[name]
    downs = layer.topklora_A[name].reshape(config.experts, config.r, -1)

    def gates(x: Tensor) -> Tensor:
        scores = x @ router.T
        least = scores.sort(-1, descending=True).values[..., config.top_k - 1 : config.top_k]
        weights = torch.exp(scores - scores.max(-1, keepdim=True).values) * (scores >= least)
        return weights / weights.sum(-1, keepdim=True)

    return list(zip(downs, _ups(layer.topklora_B[name], config), strict=True)), gates, _scale(config)


def _ups(stacked: Tensor, config: Any) -> list[Tensor]:
    return [stacked[:, i * config.r : (i + 1) * config.r] for i in range(config.experts)]


def _scale(config: Any) -> float:
    total = getattr(config, "gate_scale", None) or getattr(config, "gate_sum", 1)
    return config.lora_alpha / config.r * {"experts": getattr(config, "experts", 1), "free": 1}.get(total, total)


_PARTS = {
    "lora_E": _adalora,
    "lora_A": _lora,
    "moslora_A": _moslora,
    "moelora_A": _moelora,
    "hydralora_A": _hydralora,
    "teamlora_A": _teamlora,
    "mola_A": _mola,
    "adamole_A": _adamole,
    "comol_A": _comol,
    "smora_A": _smora,
    "flylora_A": _flylora,
    "topklora_A": _topklora,
}
"""By a container that tells the method."""


class LoopLayer(nn.Module):
    """A layer of an adapter with a loop over experts. Methods such as LoRA have one expert of weight 1."""

    def __init__(self, layer: Any, name: str = "default") -> None:
        super().__init__()
        self.frozen = layer.base_layer
        parts = next(make for container, make in _PARTS.items() if hasattr(layer, container))
        self.experts, self.gates, self.scale = parts(layer, name)

    def forward(self, x: Tensor) -> Tensor:
        gates, result = self.gates(x), self.frozen(x)
        for i, (down, up) in enumerate(self.experts):
            result = result + self.scale * gates[..., i : i + 1] * (x @ down.T @ up.T)
        return result


def as_loop(model: Any, name: str = "default") -> Any:
    """Replace every adapted layer of a `PeftModel` with the loop, in place. The parameters stay those of the model."""
    for parent in list(model.modules()):
        for child_name, child in list(parent.named_children()):
            if hasattr(child, "base_layer"):
                setattr(parent, child_name, LoopLayer(child, name))
    return model
