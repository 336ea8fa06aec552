"""The papers' form of a routed layer: one expert after the other. Here only to be measured against the fused form."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from cme.adapters.teamlora import TeamLoraLinear

__all__ = ["use_loop"]


class _LoopLinear(TeamLoraLinear):
    """TeamLoRA's layer with a product per expert for A and for B (no dropout, router of one layer)."""

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        result: Tensor = self.base_layer(x, *args, **kwargs)
        kept = result.dtype
        name = self.active_adapters[0]
        up = self.teamlora_B[name]
        scores = self.teamlora_S[name]
        x = x.to(up.dtype)
        values = torch.softmax(F.linear(x, scores), dim=-1, dtype=torch.float32)
        played = F.linear(values, self.teamlora_M[name].float())
        gates = (played / played.sum(-1, keepdim=True)).to(up.dtype)
        downs = self.teamlora_A[name].flatten(0, -2).chunk(scores.shape[0])
        for expert, (down, own) in enumerate(zip(downs, up.chunk(scores.shape[0], dim=1), strict=True)):
            output = F.linear(F.linear(x, down), own)
            result = result + output * gates[..., expert : expert + 1] * self.plans[name].scaling
        return result.to(kept)


def use_loop(model: Any) -> None:
    """Switch every TeamLoRA layer of the model to the loop, in place."""
    for module in model.modules():
        if type(module) is TeamLoraLinear:
            module.__class__ = _LoopLinear
