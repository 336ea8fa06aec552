"""CoMoL on one linear layer."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cme.adapters.comol.config import CoMolConfig
from cme.adapters.low_rank.layer import fill_kaiming
from cme.adapters.low_rank.products import add_product
from cme.adapters.routed.layer import RoutedLinear
from cme.adapters.routed.products import mix, project, softmax_gates

__all__ = ["CoMolLinear"]


class CoMolLinear(RoutedLinear):
    """A frozen linear layer with CoMoL adapters.

    The containers map adapter names to parameters (d inputs, m outputs, rank r, k experts).

    Attributes:
        comol_A: The matrix A that all experts share, [r, d].
        comol_B: The matrix B that all experts share, [m, r].
        comol_M: The core matrices of the experts, [k, r, r]. Expert i adds B Mᵢᵀ A x.
        comol_W: The router, [k, r], or [k, d] without ``core_router``.
    """

    adapter_layer_names = ("comol_A", "comol_B", "comol_M", "comol_W")

    comol_A: nn.ParameterDict  # noqa: N815 (the papers' letters)
    comol_B: nn.ParameterDict  # noqa: N815 (the papers' letters)
    comol_M: nn.ParameterDict  # noqa: N815 (the papers' letters)
    comol_W: nn.ParameterDict  # noqa: N815 (the papers' letters)

    def make_parameters(self, adapter_name: str, config: CoMolConfig) -> None:
        """Initialise A, M and W as LoRA initialises A, and B with zeros."""
        inputs = config.r if config.core_router else self.in_features
        self.comol_A[adapter_name] = nn.Parameter(torch.empty(config.r, self.in_features))
        self.comol_B[adapter_name] = nn.Parameter(torch.zeros(self.out_features, config.r))
        self.comol_M[adapter_name] = nn.Parameter(torch.empty(config.experts, config.r, config.r))
        self.comol_W[adapter_name] = nn.Parameter(torch.empty(config.experts, inputs))
        for container in (self.comol_A, self.comol_M, self.comol_W):
            fill_kaiming(container[adapter_name])
        if not config.init_weights:
            fill_kaiming(self.comol_B[adapter_name])

    def route(
        self, adapter_name: str, config: CoMolConfig, x: Tensor, dropped: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the hidden values h = A x [..., r] and the gate weights. See `RoutedLinear.route`."""
        down, router = self.own("comol_A", adapter_name), self.own("comol_W", adapter_name)
        if config.core_router:
            hidden = F.linear(dropped, down)
            logits = F.linear(hidden if dropped is x else F.linear(x, down), router)
        else:
            hidden, logits = project(x, dropped, down, router)
        return hidden, softmax_gates(logits), self.own("comol_B", adapter_name)

    def combine(
        self, result: Tensor, adapter_name: str, hidden: Tensor, gates: Tensor, up: Tensor, scaling: float
    ) -> Tensor:
        """Mix the core matrices' outputs to r values, then add their product with B. See `RoutedLinear.combine`."""
        return add_product(result, mix(hidden, gates, self.own("comol_M", adapter_name)), up, scaling)

    def expert_matrices(self, adapter_name: str) -> tuple[Tensor, Tensor]:
        """Return A [1, r, d] and the matrices Bᵢ = B Mᵢᵀ [k, m, r]. See `RoutedLinear.expert_matrices`."""
        cores, up = self.own("comol_M", adapter_name), self.own("comol_B", adapter_name)
        return self.own("comol_A", adapter_name).unsqueeze(0), up @ cores.mT
