"""Implementation of the routed methods with a loop over experts, as in the papers' code, for comparison with the fused form.

It follows the released code of TeamLoRA (Lin-Tianwei/TeamLoRA, ``lora.py``). The matrices of every expert are separate
parameters, and each expert's output of m columns is weighted and added separately. The scaling is applied to the hidden
values, where it is cheapest. If the experts share an A (TeamLoRA, HydraLoRA), the loop has k + 1 products, and otherwise
(MoELoRA) 2 k. The gate weights are computed as in the fused form.
"""

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cme.adapters.routed.layer import RoutedLinear

__all__ = ["use_loop"]


class _Loop(RoutedLinear):
    """A routed layer with `downs` and `ups`, the separate A and B of the experts, instead of the first two containers."""

    downs: nn.ParameterList
    ups: nn.ParameterList
    dims: tuple[int, int]

    def own(self, container: str, adapter_name: str) -> Tensor:
        """Return a parameter as in the fused form, or an empty matrix for A and B, so that `route` computes gates only."""
        if container in self.adapter_layer_names[:2]:
            dims = self.dims[self.adapter_layer_names.index(container)]
            empty: Tensor = self.downs[0].new_empty((0,) * (dims - 1) + (self.in_features,))
            return empty
        return super().own(container, adapter_name)

    def add(self, result: Tensor, adapter_name: str, plan: Any, x: Tensor, dropped: Tensor) -> Tensor:
        """Compute ``result + Σ_i g_i · B_i (scaling · A_i x)``, one term after the other."""
        kept = result.dtype
        # The experts get no rows, so the hidden values that `route` returns are empty.
        _, gates, _ = self.route(adapter_name, plan.config, x, x.new_empty(0, self.in_features))
        if len(self.downs) > 1:
            hidden = [F.linear(dropped, down) * plan.scaling for down in self.downs]
        else:
            shared = F.linear(dropped, self.downs[0]) * plan.scaling
            split = shared.shape[-1] > self.ups[0].shape[1]
            hidden = list(shared.split(plan.config.r, dim=-1)) if split else [shared] * len(self.ups)
        for expert, (own, up) in enumerate(zip(hidden, self.ups, strict=True)):
            result = result + gates[..., expert : expert + 1].to(up.dtype) * F.linear(own, up)
        return result.to(kept)


@cache
def _loop_class(kind: Any) -> type:
    return type(f"Loop{kind.__name__}", (_Loop, kind), {})


def use_loop(model: Any) -> None:
    """Switch every routed layer of the model to the loop, in place. The outputs do not change.

    The first two containers of a layer must be A ([k·r, d] or [k, r, d], or [r, d] if all experts share it) and B ([m, k·r]).
    """
    for module in model.modules():
        if isinstance(module, RoutedLinear) and not isinstance(module, _Loop):
            _take_apart(module)


def _take_apart(layer: Any) -> None:
    (name,) = layer.active_adapters
    config = layer.plans[name].config
    containers = layer.adapter_layer_names[:2]
    down, up = (layer.own(container, name) for container in containers)
    dims = (down.dim(), up.dim())
    stacked = down.detach().flatten(0, -2)
    shared = len(stacked) == config.r or getattr(config, "collaboration", False)
    downs = [stacked] if shared else stacked.split(config.r)
    kind: Any = type(layer)
    layer.__class__ = _loop_class(kind)
    layer.dims = dims
    layer.downs = _parameters(downs, down.requires_grad)
    layer.ups = _parameters(up.detach().split(config.r, dim=1), up.requires_grad)
    for container in containers:
        del layer._modules[container][name]


def _parameters(parts: Any, trained: bool) -> nn.ParameterList:
    copies = (part.clone(memory_format=torch.contiguous_format) for part in parts)
    return nn.ParameterList(nn.Parameter(part, trained) for part in copies)
