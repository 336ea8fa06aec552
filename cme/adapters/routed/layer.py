"""What the layers of all routed methods share: containers, the gated product, the record of gates, no merging."""

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import torch.nn.functional as F
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn

from cme.adapters.routed.config import RoutedConfig
from cme.adapters.routed.products import add_routed, autocast_on
from cme.errors import AdapterError

__all__ = ["RoutedLinear", "fill_kaiming", "refuse_merge"]


def refuse_merge() -> NoReturn:
    """Raise the error of every attempt to merge a routed method."""
    raise AdapterError(
        "this adapter cannot be merged into the base: its gates weigh the experts anew for every token, so no single "
        "weight matrix gives its outputs. Keep it beside the base (PeftModel); unload() gives the base back."
    )


def fill_kaiming(weight: Tensor) -> None:
    """Fill stacked matrices [..., d] in place with U(-1/√d, 1/√d): kaiming with a = √5, as LoRA fills its A."""
    nn.init.kaiming_uniform_(weight.detach().view(-1, weight.shape[-1]), a=math.sqrt(5))


@dataclass(frozen=True)
class Plan:
    """What a forward pass needs to know of one adapter."""

    scaling: float
    drops: bool
    config: RoutedConfig


class RoutedLinear(nn.Module, BaseTunerLayer):  # type: ignore[misc]
    """A frozen linear layer with adapters of a routed method on it.

    A method names its containers in ``adapter_layer_names`` (parameters by adapter name, experts stacked in one), makes
    the parameters in `make_parameters` and gives hidden values, gates and B in `route`.

    Attributes:
        record_gates: whether the next forward passes keep their gates.
        gates: by adapter name, the gates of the last forward pass that kept them, [..., k]; they sum to 1.
    """

    adapter_layer_names: tuple[str, ...]
    other_param_names: tuple[str, ...] = ("plans", "gates")
    active_adapters: list[str]
    set_adapter: Callable[..., None]

    def __init__(self, base_layer: nn.Linear, adapter_name: str, config: RoutedConfig) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.in_features, self.out_features = base_layer.in_features, base_layer.out_features
        for name in self.adapter_layer_names:
            setattr(self, name, nn.ParameterDict())
        self.plans: dict[str, Plan] = {}
        self.record_gates = False
        self.gates: dict[str, Tensor] = {}
        self.merged_adapters: list[str] = []
        self._disable_adapters = False
        self._active_adapter = adapter_name
        self.update_layer(adapter_name, config)

    @abstractmethod
    def make_parameters(self, adapter_name: str, config: RoutedConfig) -> None:
        """Put this adapter's parameters, initialised, into the containers."""

    @abstractmethod
    def route(
        self, adapter_name: str, config: RoutedConfig, x: Tensor, dropped: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Hidden values [..., k·r] (or [..., r]), gates [..., k] and B [m, k·r].

        Args:
            adapter_name: whose parameters to take.
            config: that adapter's configuration.
            x: the layer's input [..., d]: what the router sees.
            dropped: the input after dropout: what the experts see; the same tensor as ``x`` when nothing drops out.
        """

    def own(self, container: str, adapter_name: str) -> Tensor:
        """One parameter of an adapter."""
        # Straight from the module tree: by attribute and key it takes thrice as long, in every layer for every token.
        weight: Tensor = getattr(self._modules[container], adapter_name)
        return weight

    def update_layer(self, adapter_name: str, config: RoutedConfig) -> None:
        """Add an adapter to this layer."""
        self.make_parameters(adapter_name, config)
        self.plans[adapter_name] = Plan(config.scaling, config.lora_dropout > 0, config)
        BaseTunerLayer._move_adapter_to_device_of_base_layer(self, adapter_name)
        self.set_adapter(self.active_adapters, inference_mode=config.inference_mode)

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """The base layer's output [..., m] with every active adapter added."""
        result: Tensor = self.base_layer(x, *args, **kwargs)
        if self._disable_adapters:
            return result
        for adapter_name in self.active_adapters:
            plan = self.plans.get(adapter_name)
            if plan is None:
                continue
            dtype = self.own(self.adapter_layer_names[0], adapter_name).dtype
            if x.dtype != dtype and not autocast_on(x):
                x = x.to(dtype)
            dropped = F.dropout(x, plan.config.lora_dropout) if plan.drops and self.training else x
            hidden, gates, up = self.route(adapter_name, plan.config, x, dropped)
            if self.record_gates:
                self.gates[adapter_name] = gates
            result = add_routed(result, hidden, gates, up, plan.scaling)
        return result

    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Raise `AdapterError`: gates depend on the token."""
        refuse_merge()

    def unmerge(self) -> None:
        """Raise `AdapterError`: nothing is ever merged."""
        refuse_merge()

    def __repr__(self) -> str:
        return f"{self.adapter_layer_names[0].split('_')[0]}.{super().__repr__()}"
