"""TopkLoRA: configuration, layer, model; importing this module enters the method into PEFT.

``y = W0 x + (alpha / r) Σ_i g_i(x) B_i A_i x``, where the gates g are the softmax over the ``top_k`` experts with the
highest scores W x of this token, and exactly 0 for the others. CME's own method ``mola`` is the same; this package shows how
such a method is written.
"""

from dataclasses import dataclass, field

import torch
from peft import PeftType
from torch import Tensor, nn

from cme.adapters.low_rank.layer import fill_kaiming
from cme.adapters.registration import register_method
from cme.adapters.routed.config import RoutedConfig
from cme.adapters.routed.layer import RoutedLinear
from cme.adapters.routed.model import RoutedModel
from cme.adapters.routed.products import largest, normalised, project, softmax_gates


@dataclass
class TopkLoraConfig(RoutedConfig):
    """The settings of every method with experts, and one more."""

    top_k: int = field(default=2, metadata={"help": "Number of experts that each token uses, from 2 to experts."})

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = PeftType["TOPKLORA"]
        if not 2 <= self.top_k <= self.experts:
            # The gate of a single expert is always 1, so its router would have no gradient.
            raise ValueError(f"top_k must be from 2 to {self.experts} (the number of experts), but is {self.top_k}.")


class TopkLoraLinear(RoutedLinear):
    """A frozen linear layer with TopkLoRA adapters (d inputs, m outputs, k experts of rank r)."""

    adapter_layer_names = ("topklora_A", "topklora_B", "topklora_W")

    def make_parameters(self, adapter_name: str, config: TopkLoraConfig) -> None:
        """The experts' A one below the other [k·r, d], their B side by side [m, k·r], the router W [k, d]."""
        columns = config.experts * config.r
        self.topklora_A[adapter_name] = nn.Parameter(torch.empty(columns, self.in_features))
        self.topklora_B[adapter_name] = nn.Parameter(torch.zeros(self.out_features, columns))
        self.topklora_W[adapter_name] = nn.Parameter(torch.empty(config.experts, self.in_features))
        fill_kaiming(self.topklora_A[adapter_name])
        fill_kaiming(self.topklora_W[adapter_name])
        if not config.init_weights:
            fill_kaiming(self.topklora_B[adapter_name])

    def balances(self, config: TopkLoraConfig) -> bool:
        """The balance term takes the softmax over all experts, in `route`."""
        return True

    def route(
        self, adapter_name: str, config: TopkLoraConfig, x: Tensor, dropped: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Hidden values A x [..., k·r], gates [..., k], B [m, k·r]."""
        hidden, scores = project(x, dropped, self.own("topklora_A", adapter_name), self.own("topklora_W", adapter_name))
        values = softmax_gates(scores)
        chosen = largest(values, config.top_k)
        values = self.balanced(adapter_name, config, values, chosen)
        return hidden, normalised(values * chosen), self.own("topklora_B", adapter_name)


class TopkLoraModel(RoutedModel):
    """A base model with TopkLoRA adapters."""

    prefix = "topklora_"
    tuner_layer_cls = TopkLoraLinear


register_method("topklora", TopkLoraConfig, TopkLoraModel)
