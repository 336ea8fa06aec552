"""MoELoRA on one linear layer."""

import torch
from torch import Tensor, nn

from cme.adapters.low_rank.layer import fill_kaiming
from cme.adapters.moelora.config import MoeLoraConfig
from cme.adapters.routed.layer import RoutedLinear
from cme.adapters.routed.products import project, softmax_gates

__all__ = ["MoeLoraLinear"]


class MoeLoraLinear(RoutedLinear):
    """A frozen linear layer with MoELoRA adapters.

    The containers map adapter names to parameters (d inputs, m outputs, k experts of rank r).

    Attributes:
        moelora_A: The stacked A matrices of the experts, [k·r, d].
        moelora_B: The B matrices of the experts side by side, [m, k·r].
        moelora_W: The router, [k, d].
    """

    adapter_layer_names = ("moelora_A", "moelora_B", "moelora_W")

    moelora_A: nn.ParameterDict  # noqa: N815 (the papers' letters)
    moelora_B: nn.ParameterDict  # noqa: N815 (the papers' letters)
    moelora_W: nn.ParameterDict  # noqa: N815 (the papers' letters)

    def make_parameters(self, adapter_name: str, config: MoeLoraConfig) -> None:
        """Initialise A and W as LoRA initialises A, and B with zeros."""
        self.moelora_A[adapter_name] = nn.Parameter(torch.empty(config.experts * config.r, self.in_features))
        self.moelora_B[adapter_name] = nn.Parameter(torch.zeros(self.out_features, config.experts * config.r))
        self.moelora_W[adapter_name] = nn.Parameter(torch.empty(config.experts, self.in_features))
        fill_kaiming(self.moelora_A[adapter_name])
        fill_kaiming(self.moelora_W[adapter_name])
        if not config.init_weights:
            fill_kaiming(self.moelora_B[adapter_name])

    def route(
        self, adapter_name: str, config: MoeLoraConfig, x: Tensor, dropped: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the hidden values h = A x [..., k·r] and the gate weights. See `RoutedLinear.route`."""
        down, router = self.own("moelora_A", adapter_name), self.own("moelora_W", adapter_name)
        hidden, logits = project(x, dropped, down, router)
        return hidden, softmax_gates(logits), self.own("moelora_B", adapter_name)
