"""HydraLoRA on one linear layer."""

import torch
from torch import Tensor, nn

from cme.adapters.hydralora.config import HydraLoraConfig
from cme.adapters.low_rank.layer import fill_kaiming
from cme.adapters.routed.layer import RoutedLinear
from cme.adapters.routed.products import project, softmax_gates

__all__ = ["HydraLoraLinear"]


class HydraLoraLinear(RoutedLinear):
    """A frozen linear layer with HydraLoRA adapters.

    The containers map adapter names to parameters (d inputs, m outputs, k experts of rank r).

    Attributes:
        hydralora_A: The matrix A that all experts share, [r, d].
        hydralora_B: The B matrices of the experts side by side, [m, k·r].
        hydralora_W: The router, [k, d].
    """

    adapter_layer_names = ("hydralora_A", "hydralora_B", "hydralora_W")

    hydralora_A: nn.ParameterDict  # noqa: N815 (the papers' letters)
    hydralora_B: nn.ParameterDict  # noqa: N815 (the papers' letters)
    hydralora_W: nn.ParameterDict  # noqa: N815 (the papers' letters)

    def make_parameters(self, adapter_name: str, config: HydraLoraConfig) -> None:
        """Initialise A and W as LoRA initialises A, and B with zeros."""
        self.hydralora_A[adapter_name] = nn.Parameter(torch.empty(config.r, self.in_features))
        self.hydralora_B[adapter_name] = nn.Parameter(torch.zeros(self.out_features, config.experts * config.r))
        self.hydralora_W[adapter_name] = nn.Parameter(torch.empty(config.experts, self.in_features))
        fill_kaiming(self.hydralora_A[adapter_name])
        fill_kaiming(self.hydralora_W[adapter_name])
        if not config.init_weights:
            fill_kaiming(self.hydralora_B[adapter_name])

    def route(
        self, adapter_name: str, config: HydraLoraConfig, x: Tensor, dropped: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the hidden values h = A x [..., r] and the gate weights. See `RoutedLinear.route`."""
        down, router = self.own("hydralora_A", adapter_name), self.own("hydralora_W", adapter_name)
        hidden, logits = project(x, dropped, down, router)
        return hidden, softmax_gates(logits), self.own("hydralora_B", adapter_name)
