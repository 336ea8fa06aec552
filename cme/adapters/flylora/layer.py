"""FlyLoRA on one linear layer."""

import torch
import torch.nn.functional as F
from peft.tuners._buffer_dict import BufferDict
from torch import Tensor, nn

from cme.adapters.flylora.config import FlyLoraConfig
from cme.adapters.low_rank.layer import fill_kaiming
from cme.adapters.routed.products import largest
from cme.adapters.routed.rankwise import RankwiseLinear

__all__ = ["FlyLoraLinear", "sparse_rows"]


def sparse_rows(rank: int, inputs: int, top_k: int) -> Tensor:
    """Draw FlyLoRA's A: in each row, a share ``top_k / rank`` of the values is from N(0, 1/rank²), and the others are 0.

    Args:
        rank: Number of rows, R.
        inputs: Number of columns, d.
        top_k: Number of ranks that each token uses.

    Returns:
        The matrix [R, d].
    """
    drawn = max(1, round(inputs * top_k / rank))
    places = torch.rand(rank, inputs).topk(drawn, dim=-1).indices
    return torch.zeros(rank, inputs).scatter(-1, places, torch.randn(rank, drawn) / rank)


class FlyLoraLinear(RankwiseLinear):
    """A frozen linear layer with FlyLoRA adapters.

    The containers map adapter names to tensors (d inputs, m outputs, rank R).

    Attributes:
        flylora_B: The matrix B, [m, R], the only trained parameter.
        flylora_A: The frozen sparse matrix A, [R, d]. It is saved, but not trained.
        flylora_b: The selection bias of each rank, [R] in float32. It is saved, but not trained.
    """

    adapter_layer_names = ("flylora_B",)
    buffer_names = ("flylora_A", "flylora_b")
    other_param_names = (*RankwiseLinear.other_param_names, *buffer_names)
    bias_container = "flylora_b"

    flylora_A: BufferDict  # noqa: N815 (the paper's letters)
    flylora_B: nn.ParameterDict  # noqa: N815 (the paper's letters)

    def make_parameters(self, adapter_name: str, config: FlyLoraConfig) -> None:
        """Draw A, and initialise B with zeros."""
        self.flylora_A[adapter_name] = sparse_rows(config.r, self.in_features, config.kept)
        self.flylora_B[adapter_name] = nn.Parameter(torch.zeros(self.out_features, config.r))
        if not config.init_weights:
            fill_kaiming(self.flylora_B[adapter_name])

    def route(
        self, adapter_name: str, config: FlyLoraConfig, x: Tensor, dropped: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the hidden values h = A x [..., R] and the gate weights of the ranks. See `RoutedLinear.route`."""
        down = self.own("flylora_A", adapter_name)
        hidden = F.linear(dropped, down)
        with torch.no_grad():
            scores = (hidden if dropped is x else F.linear(x, down)).float() + self.bias_of(adapter_name)
            gates = largest(scores.abs() if config.by_magnitude else scores, config.kept) / config.kept
        self.count(adapter_name, config, gates)
        return hidden, gates, self.own("flylora_B", adapter_name)

    def expert_matrices(self, adapter_name: str) -> tuple[Tensor, Tensor]:
        """Return the rows of A [R, 1, d] and the columns of B [R, m, 1]. See `RoutedLinear.expert_matrices`."""
        return self.own("flylora_A", adapter_name).unsqueeze(1), self.own("flylora_B", adapter_name).T.unsqueeze(-1)
