"""What the layers of all low-rank methods share: containers by adapter name, types, dropout, the loop over adapters."""

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import resolve_quantization_backend
from torch import Tensor, nn

from cme.adapters.low_rank.config import LowRankConfig
from cme.adapters.low_rank.products import autocast_on

__all__ = ["LowRankLinear", "Plan", "fill_kaiming"]


def fill_kaiming(weight: Tensor) -> None:
    """Fill stacked matrices [..., d] in place with U(-1/√d, 1/√d): kaiming with a = √5, as LoRA fills its A."""
    nn.init.kaiming_uniform_(weight.detach().view(-1, weight.shape[-1]), a=math.sqrt(5))


@dataclass(frozen=True)
class Plan:
    """What a forward pass needs to know of one adapter."""

    scaling: float
    drops: bool
    config: Any


class LowRankLinear(nn.Module, BaseTunerLayer):  # type: ignore[misc]
    """A frozen linear layer with adapters of one low-rank method on it.

    A method names its containers in ``adapter_layer_names`` (parameters by adapter name, experts stacked in one), makes
    the parameters in `make_parameters` and adds what they give in `add`.

    Attributes:
        in_features: d.
        out_features: m.
        plans: what a forward pass needs, by adapter name.
    """

    adapter_layer_names: tuple[str, ...]
    other_param_names: tuple[str, ...] = ("plans",)
    active_adapters: list[str]
    set_adapter: Callable[..., None]
    get_base_weight: Callable[[], Tensor]
    set_base_weight: Callable[[Tensor], None]

    def __init__(self, base_layer: nn.Linear, adapter_name: str, config: LowRankConfig) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.in_features, self.out_features = base_layer.in_features, base_layer.out_features
        self.quantization_backend = resolve_quantization_backend(base_layer)
        for name in self.adapter_layer_names:
            setattr(self, name, nn.ParameterDict())
        self.plans: dict[str, Plan] = {}
        self.merged_adapters: list[str] = []
        self._disable_adapters = False
        self._active_adapter = adapter_name
        self.update_layer(adapter_name, config)

    @abstractmethod
    def make_parameters(self, adapter_name: str, config: Any) -> None:
        """Put this adapter's parameters, initialised, into the containers."""

    @abstractmethod
    def add(self, result: Tensor, adapter_name: str, plan: Plan, x: Tensor, dropped: Tensor) -> Tensor:
        """``result`` [..., m] with what one adapter adds to it, in the type of ``result``.

        Args:
            result: the base layer's output, perhaps with other adapters added.
            adapter_name: whose parameters to take.
            plan: that adapter's.
            x: the layer's input [..., d].
            dropped: the input after dropout; the same tensor as ``x`` when nothing drops out.
        """

    @abstractmethod
    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Add adapters into the base's weight, or raise `AdapterError` where that cannot be."""

    @abstractmethod
    def unmerge(self) -> None:
        """Take all merged adapters out of the base's weight again."""

    def own(self, container: str, adapter_name: str) -> Tensor:
        """One parameter of an adapter."""
        # Straight from the module tree: by attribute and key it takes thrice as long, in every layer for every token.
        weight: Tensor = getattr(self._modules[container], adapter_name)
        return weight

    def update_layer(self, adapter_name: str, config: LowRankConfig) -> None:
        """Add an adapter to this layer."""
        self.make_parameters(adapter_name, config)
        self.plans[adapter_name] = Plan(config.scaling, config.lora_dropout > 0, config)
        BaseTunerLayer._move_adapter_to_device_of_base_layer(self, adapter_name)
        self.set_adapter(self.active_adapters, inference_mode=config.inference_mode)

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """The base layer's output [..., m] with every active adapter added."""
        if self._disable_adapters and self.merged_adapters:
            self.unmerge()
        result: Tensor = self.base_layer(x, *args, **kwargs)
        if self._disable_adapters or self.merged_adapters:
            return result
        for adapter_name in self.active_adapters:
            plan = self.plans.get(adapter_name)
            if plan is None:
                continue
            dtype = self.own(self.adapter_layer_names[0], adapter_name).dtype
            if x.dtype != dtype and not autocast_on(x):
                x = x.to(dtype)
            dropped = F.dropout(x, plan.config.lora_dropout) if plan.drops and self.training else x
            result = self.add(result, adapter_name, plan, x, dropped)
        return result

    def __repr__(self) -> str:
        return f"{self.adapter_layer_names[0].split('_')[0]}.{super().__repr__()}"
