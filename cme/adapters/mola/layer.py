"""MoLA on one linear layer."""

import torch
from torch import Tensor, nn

from cme.adapters.low_rank.layer import fill_kaiming
from cme.adapters.mola.config import MolaConfig
from cme.adapters.routed.layer import RoutedLinear
from cme.adapters.routed.products import largest, project, softmax_gates

__all__ = ["MolaLinear"]


class MolaLinear(RoutedLinear):
    """A frozen linear layer with MoLA adapters.

    The containers map adapter names to parameters (d inputs, m outputs, k experts of rank r).

    Attributes:
        mola_A: The stacked A matrices of the experts, [k·r, d].
        mola_B: The B matrices of the experts side by side, [m, k·r].
        mola_W: The router, [k, d].
    """

    adapter_layer_names = ("mola_A", "mola_B", "mola_W")

    mola_A: nn.ParameterDict  # noqa: N815 (the papers' letters)
    mola_B: nn.ParameterDict  # noqa: N815 (the papers' letters)
    mola_W: nn.ParameterDict  # noqa: N815 (the papers' letters)

    def make_parameters(self, adapter_name: str, config: MolaConfig) -> None:
        """Initialise A and W as LoRA initialises A, and B with zeros."""
        self.mola_A[adapter_name] = nn.Parameter(torch.empty(config.experts * config.r, self.in_features))
        self.mola_B[adapter_name] = nn.Parameter(torch.zeros(self.out_features, config.experts * config.r))
        self.mola_W[adapter_name] = nn.Parameter(torch.empty(config.experts, self.in_features))
        fill_kaiming(self.mola_A[adapter_name])
        fill_kaiming(self.mola_W[adapter_name])
        if not config.init_weights:
            fill_kaiming(self.mola_B[adapter_name])

    def balances(self, config: MolaConfig) -> bool:
        """Return True, because the balance term uses the softmax over all experts, before the selection."""
        return True

    def route(self, adapter_name: str, config: MolaConfig, x: Tensor, dropped: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the hidden values h = A x [..., k·r] and the gate weights. See `RoutedLinear.route`."""
        down, router = self.own("mola_A", adapter_name), self.own("mola_W", adapter_name)
        hidden, logits = project(x, dropped, down, router)
        values = softmax_gates(logits)
        chosen = largest(values, config.top_k)
        values = self.balanced(adapter_name, config, values, chosen)
        kept = values * chosen
        return hidden, kept / kept.sum(-1, keepdim=True), self.own("mola_B", adapter_name)
