"""AdaMoLE on one linear layer."""

import torch
from torch import Tensor, nn

from cme.adapters.adamole.config import AdaMoleConfig
from cme.adapters.low_rank.layer import fill_kaiming
from cme.adapters.routed.layer import RoutedLinear
from cme.adapters.routed.products import project, softmax_gates

__all__ = ["AdaMoleLinear"]

_TINY = 1e-20
"""Smallest divisor of the gate weights. If no gate weight exceeds the threshold, all of them become 0."""


class AdaMoleLinear(RoutedLinear):
    """A frozen linear layer with AdaMoLE adapters.

    The containers map adapter names to parameters (d inputs, m outputs, k experts of rank r).

    Attributes:
        adamole_A: The stacked A matrices of the experts, [k·r, d].
        adamole_B: The B matrices of the experts side by side, [m, k·r].
        adamole_W: The router, and the weight of the threshold as its last row, [k + 1, d].
        adamole_T: The bias of the threshold, [1].
    """

    adapter_layer_names = ("adamole_A", "adamole_B", "adamole_W", "adamole_T")

    adamole_A: nn.ParameterDict  # noqa: N815 (the papers' letters)
    adamole_B: nn.ParameterDict  # noqa: N815 (the papers' letters)
    adamole_W: nn.ParameterDict  # noqa: N815 (the papers' letters)
    adamole_T: nn.ParameterDict  # noqa: N815 (the papers' letters)

    def make_parameters(self, adapter_name: str, config: AdaMoleConfig) -> None:
        """Initialise A and W as LoRA initialises A, B with zeros, and T with U(-1/√d, 1/√d)."""
        columns, bound = config.experts * config.r, self.in_features**-0.5
        self.adamole_A[adapter_name] = nn.Parameter(torch.empty(columns, self.in_features))
        self.adamole_B[adapter_name] = nn.Parameter(torch.zeros(self.out_features, columns))
        self.adamole_W[adapter_name] = nn.Parameter(torch.empty(config.experts + 1, self.in_features))
        self.adamole_T[adapter_name] = nn.Parameter(torch.empty(1).uniform_(-bound, bound))
        fill_kaiming(self.adamole_A[adapter_name])
        fill_kaiming(self.adamole_W[adapter_name])
        if not config.init_weights:
            fill_kaiming(self.adamole_B[adapter_name])

    def balances(self, config: AdaMoleConfig) -> bool:
        """Return True, because the balance term uses the softmax over all experts, before the threshold."""
        return True

    def route(
        self, adapter_name: str, config: AdaMoleConfig, x: Tensor, dropped: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the hidden values h = A x [..., k·r] and the gate weights. See `RoutedLinear.route`."""
        down, router = self.own("adamole_A", adapter_name), self.own("adamole_W", adapter_name)
        hidden, logits = project(x, dropped, down, router)
        of_experts, of_threshold = torch.split_with_sizes(logits, (config.experts, 1), -1)
        values = softmax_gates(of_experts)
        threshold = config.threshold * torch.sigmoid(of_threshold.float() + self.own("adamole_T", adapter_name).float())
        chosen = (values > threshold).detach() if config.balance_weight else None
        values = self.balanced(adapter_name, config, values, chosen)
        kept = torch.relu(values - threshold)
        gates = kept / kept.sum(-1, keepdim=True).clamp(min=_TINY)
        return hidden, gates, self.own("adamole_B", adapter_name)
