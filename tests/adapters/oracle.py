"""The papers' loop over experts, written from the equations alone: what the fused form must equal."""

from typing import Any

import torch
from torch import Tensor, nn


def team_gates(logits: Tensor, interaction: Tensor | None) -> Tensor:
    """ω of every token, expert by expert (arXiv 2408.09856); φ alone without an interaction matrix."""
    phi = torch.exp(logits - logits.max(-1, keepdim=True).values)
    phi = phi / phi.sum(-1, keepdim=True)
    if interaction is None:
        return phi
    experts = range(logits.shape[-1])
    omega = torch.stack([sum(interaction[i, j] * phi[..., j] for j in experts) for i in experts], dim=-1)
    return omega / omega.sum(-1, keepdim=True)


class LoopLayer(nn.Module):
    """A layer of a TeamLoRA adapter, one expert after the other."""

    def __init__(self, layer: Any, name: str = "default") -> None:
        super().__init__()
        self.frozen = layer.base_layer
        self.config = layer.plans[name].config
        experts, rank = self.config.experts, self.config.r
        self.downs = list(layer.teamlora_A[name].reshape(experts, rank, -1))
        self.ups = [layer.teamlora_B[name][:, i * rank : (i + 1) * rank] for i in range(experts)]
        self.router = [layer.teamlora_S[name]]
        if self.config.router_hidden:
            self.router.insert(0, layer.teamlora_H[name])
        self.interaction = layer.teamlora_M[name] if self.config.competition else None

    def forward(self, x: Tensor) -> Tensor:
        scores = x
        for index, weight in enumerate(self.router):
            scores = (scores * torch.sigmoid(scores) if index else scores) @ weight.T
        gates = team_gates(scores, self.interaction)
        scale = self.config.experts if self.config.gate_scale == "experts" else self.config.gate_scale
        result = self.frozen(x)
        for i, (down, up) in enumerate(zip(self.downs, self.ups, strict=True)):
            result = result + self.config.lora_alpha / self.config.r * scale * gates[..., i : i + 1] * (
                x @ down.T @ up.T
            )
        return result


def as_loop(model: Any, name: str = "default") -> Any:
    """Replace every TeamLoRA layer of a `PeftModel` by the loop, in place; parameters stay those of the model."""
    for parent in list(model.modules()):
        for child_name, child in list(parent.named_children()):
            if hasattr(child, "teamlora_A"):
                setattr(parent, child_name, LoopLayer(child, name))
    return model
