"""TeamLoRA on one linear layer."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cme.adapters.low_rank.layer import fill_kaiming
from cme.adapters.routed.layer import RoutedLinear
from cme.adapters.routed.products import compete, normalised, project, softmax_gates
from cme.adapters.teamlora.config import TeamLoraConfig

__all__ = ["TeamLoraLinear"]


class TeamLoraLinear(RoutedLinear):
    """A frozen linear layer with TeamLoRA adapters.

    Parameters by adapter name (d inputs, m outputs, k experts of rank r):
        teamlora_A: the shared A [k·r, d], or the experts' own [k, r, d].
        teamlora_B: the experts' B side by side, [m, k·r].
        teamlora_S: the router [k, d], or its second layer [k, h].
        teamlora_H: the router's first layer [h, d], if it has two.
        teamlora_M: the interaction matrix [k, k], with competition.
    """

    adapter_layer_names = ("teamlora_A", "teamlora_B", "teamlora_S", "teamlora_H", "teamlora_M")

    teamlora_A: nn.ParameterDict  # noqa: N815 (the paper's letters)
    teamlora_B: nn.ParameterDict  # noqa: N815 (the paper's letters)
    teamlora_S: nn.ParameterDict  # noqa: N815 (the paper's letters)
    teamlora_H: nn.ParameterDict  # noqa: N815 (the paper's letters)
    teamlora_M: nn.ParameterDict  # noqa: N815 (the paper's letters)

    def make_parameters(self, adapter_name: str, config: TeamLoraConfig) -> None:
        """A, S and H as LoRA's A; B zero; M has ones on its diagonal and U(-0.1, 0.1) beside it."""
        k, r = config.experts, config.r
        shape = (k * r, self.in_features) if config.collaboration else (k, r, self.in_features)
        self.teamlora_A[adapter_name] = nn.Parameter(torch.empty(shape))
        self.teamlora_B[adapter_name] = nn.Parameter(torch.zeros(self.out_features, k * r))
        self.teamlora_S[adapter_name] = nn.Parameter(torch.empty(k, config.router_hidden or self.in_features))
        fill_kaiming(self.teamlora_A[adapter_name])
        fill_kaiming(self.teamlora_S[adapter_name])
        if config.router_hidden:
            self.teamlora_H[adapter_name] = nn.Parameter(torch.empty(config.router_hidden, self.in_features))
            fill_kaiming(self.teamlora_H[adapter_name])
        if config.competition:
            self.teamlora_M[adapter_name] = nn.Parameter(torch.empty(k, k).uniform_(-0.1, 0.1).fill_diagonal_(1))
        if not config.init_weights:
            fill_kaiming(self.teamlora_B[adapter_name])

    def balances(self, config: TeamLoraConfig) -> bool:
        """Gates that are not normalised are balanced before the competition, where they sum to 1."""
        return config.gate_sum == "free"

    def route(
        self, adapter_name: str, config: TeamLoraConfig, x: Tensor, dropped: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Hidden values z = A x [..., k·r], gates ω [..., k], B [m, k·r]."""
        down = self.own("teamlora_A", adapter_name)
        if not config.collaboration:
            down = down.flatten(0, 1)
        scores = self.own("teamlora_S", adapter_name)
        first = self.own("teamlora_H", adapter_name) if config.router_hidden else scores
        hidden, logits = project(x, dropped, down, first)
        if config.router_hidden:
            logits = F.linear(F.silu(logits), scores)
        gates = softmax_gates(logits)
        if self.balances(config):
            gates = self.balanced(adapter_name, config, gates)
        if config.competition:
            gates = compete(gates, self.own("teamlora_M", adapter_name))
            if config.gate_sum != "free":
                gates = normalised(gates)
        return hidden, gates, self.own("teamlora_B", adapter_name)
