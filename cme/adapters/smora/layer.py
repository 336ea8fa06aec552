"""SMoRA on one linear layer."""

import torch
from torch import Tensor, nn

from cme.adapters.low_rank.layer import fill_kaiming
from cme.adapters.routed.products import largest, normalised, project
from cme.adapters.routed.rankwise import RankwiseLinear
from cme.adapters.smora.config import SMoraConfig

__all__ = ["SMoraLinear"]


class SMoraLinear(RankwiseLinear):
    """A frozen linear layer with SMoRA adapters.

    The containers map adapter names to tensors (d inputs, m outputs, rank R).

    Attributes:
        smora_A: The matrix A, [R, d].
        smora_B: The matrix B, [m, R].
        smora_W: The router, [R, d].
        smora_b: The selection bias of each rank, [R] in float32. It is saved, but not trained.
    """

    adapter_layer_names = ("smora_A", "smora_B", "smora_W")
    buffer_names = ("smora_b",)
    other_param_names = (*RankwiseLinear.other_param_names, *buffer_names)
    bias_container = "smora_b"

    smora_A: nn.ParameterDict  # noqa: N815 (the paper's letters)
    smora_B: nn.ParameterDict  # noqa: N815 (the paper's letters)
    smora_W: nn.ParameterDict  # noqa: N815 (the paper's letters)

    def make_parameters(self, adapter_name: str, config: SMoraConfig) -> None:
        """Initialise A and W as LoRA initialises A, and B with zeros."""
        self.smora_A[adapter_name] = nn.Parameter(torch.empty(config.r, self.in_features))
        self.smora_B[adapter_name] = nn.Parameter(torch.zeros(self.out_features, config.r))
        self.smora_W[adapter_name] = nn.Parameter(torch.empty(config.r, self.in_features))
        fill_kaiming(self.smora_A[adapter_name])
        fill_kaiming(self.smora_W[adapter_name])
        if not config.init_weights:
            fill_kaiming(self.smora_B[adapter_name])

    def route(
        self, adapter_name: str, config: SMoraConfig, x: Tensor, dropped: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the hidden values h = A x [..., R] and the gate weights of the ranks. See `RoutedLinear.route`."""
        down, router = self.own("smora_A", adapter_name), self.own("smora_W", adapter_name)
        hidden, logits = project(x, dropped, down, router)
        scores = torch.sigmoid(logits.float()) + self.bias_of(adapter_name)
        gates = normalised(scores * largest(scores, config.kept))
        self.count(adapter_name, config, gates)
        return hidden, gates, self.own("smora_B", adapter_name)
