"""The base class of the layers of all low-rank methods."""

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from peft.tuners._buffer_dict import BufferDict
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import resolve_quantization_backend
from torch import Tensor, nn

from cme.adapters.low_rank.config import LowRankConfig
from cme.adapters.low_rank.products import autocast_on

__all__ = ["LowRankLinear", "Plan", "fill_kaiming"]


def fill_kaiming(weight: Tensor) -> None:
    """Initialise stacked matrices [..., d] in place with U(-1/√d, 1/√d): Kaiming with a = √5, as LoRA initialises A."""
    nn.init.kaiming_uniform_(weight.detach().view(-1, weight.shape[-1]), a=math.sqrt(5))


@dataclass(frozen=True)
class Plan:
    """The settings of one adapter that a forward pass uses.

    Attributes:
        scaling: The factor of the adapter's output, alpha / r.
        drops: Whether the adapter has dropout.
        config: The adapter's configuration.
    """

    scaling: float
    drops: bool
    config: Any


class LowRankLinear(nn.Module, BaseTunerLayer):  # type: ignore[misc]
    """A frozen linear layer with adapters of one low-rank method.

    A subclass lists its parameter containers in ``adapter_layer_names``, creates the parameters in `make_parameters` and adds
    the adapter's output in `add`. A container maps adapter names to parameters. The experts of an adapter are stacked in one
    parameter.

    Attributes:
        buffer_names: Names of the containers of tensors that are saved with the adapter, but not trained.
        in_features: Number of inputs, d.
        out_features: Number of outputs, m.
        plans: The settings that a forward pass uses, by adapter name.
    """

    adapter_layer_names: tuple[str, ...]
    buffer_names: tuple[str, ...] = ()
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
        for name in self.buffer_names:
            setattr(self, name, BufferDict(persistent=True))
        self.plans: dict[str, Plan] = {}
        self.merged_adapters: list[str] = []
        self._disable_adapters = False
        self._active_adapter = adapter_name
        self.update_layer(adapter_name, config)

    @abstractmethod
    def make_parameters(self, adapter_name: str, config: Any) -> None:
        """Create and initialise the adapter's parameters in the containers."""

    @abstractmethod
    def add(self, result: Tensor, adapter_name: str, plan: Plan, x: Tensor, dropped: Tensor) -> Tensor:
        """Add the output of one adapter to ``result``.

        Args:
            result: The base layer's output [..., m], to which other adapters may have been added.
            adapter_name: The adapter's name.
            plan: The adapter's plan.
            x: The layer's input [..., d].
            dropped: The input after dropout. Without dropout it is the same tensor as ``x``.

        Returns:
            The sum [..., m] in the dtype of ``result``.
        """

    @abstractmethod
    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Merge adapters into the base's weight, or raise `AdapterError` if this is not possible."""

    @abstractmethod
    def unmerge(self) -> None:
        """Subtract all merged adapters from the base's weight."""

    def own(self, container: str, adapter_name: str) -> Tensor:
        """Return the tensor of an adapter in a container."""
        # The direct access to the module tree is three times as fast, and it happens in every layer for every token.
        weight: Tensor = getattr(self._modules[container], adapter_name)
        return weight

    def update_layer(self, adapter_name: str, config: LowRankConfig) -> None:
        """Add an adapter to this layer."""
        self.make_parameters(adapter_name, config)
        self.plans[adapter_name] = Plan(config.scaling, config.lora_dropout > 0, config)
        BaseTunerLayer._move_adapter_to_device_of_base_layer(self, adapter_name)
        self.set_adapter(self.active_adapters, inference_mode=config.inference_mode)

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Compute the base layer's output [..., m] and add the outputs of all active adapters."""
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
