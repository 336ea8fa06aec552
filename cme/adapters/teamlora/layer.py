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

    The containers map adapter names to parameters (d inputs, m outputs, k experts of rank r).

    Attributes:
        teamlora_A: The shared A, [k·r, d], or the A matrices of the experts, [k, r, d].
        teamlora_B: The B matrices of the experts side by side, [m, k·r].
        teamlora_S: The router, [k, d], or its second layer, [k, h].
        teamlora_H: The first layer of a router with two layers, [h, d].
        teamlora_M: The interaction matrix of the competition, [k, k].
    """

    adapter_layer_names = ("teamlora_A", "teamlora_B", "teamlora_S", "teamlora_H", "teamlora_M")

    teamlora_A: nn.ParameterDict  # noqa: N815 (the paper's letters)
    teamlora_B: nn.ParameterDict  # noqa: N815 (the paper's letters)
    teamlora_S: nn.ParameterDict  # noqa: N815 (the paper's letters)
    teamlora_H: nn.ParameterDict  # noqa: N815 (the paper's letters)
    teamlora_M: nn.ParameterDict  # noqa: N815 (the paper's letters)

    def make_parameters(self, adapter_name: str, config: TeamLoraConfig) -> None:
        """Initialise A, S and H as LoRA initialises A, B with zeros, and M with a diagonal of 1 and U(-0.1, 0.1) elsewhere."""
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
        """Return whether the balance term uses the gate weights before the competition, which sum to 1."""
        return config.gate_sum == "free"

    def competes(self, config: TeamLoraConfig) -> bool:
        """Return whether the gate weights are M φ."""
        return config.competition

    def route(
        self, adapter_name: str, config: TeamLoraConfig, x: Tensor, dropped: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the hidden values z = A x [..., k·r] and the gate weights ω. See `RoutedLinear.route`."""
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
        if self.competes(config):
            if self.record_gates:
                self.values[adapter_name] = gates
            gates = compete(gates, self.own("teamlora_M", adapter_name))
            if config.gate_sum != "free":
                gates = normalised(gates)
        return hidden, gates, self.own("teamlora_B", adapter_name)
