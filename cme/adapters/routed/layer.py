"""What the layers of all routed methods share: the gated product, the record of gates, no merging."""

from abc import abstractmethod
from typing import NoReturn

import torch
from torch import Tensor, nn

from cme.adapters.low_rank.layer import LowRankLinear, Plan
from cme.adapters.routed.config import RoutedConfig
from cme.adapters.routed.injection import Balance
from cme.adapters.routed.products import add_routed
from cme.errors import AdapterError

__all__ = ["RoutedLinear", "refuse_merge"]


def refuse_merge() -> NoReturn:
    """Raise the error of every attempt to merge a routed method."""
    raise AdapterError(
        "this adapter cannot be merged into the base: its gate weights differ for every token, so no single "
        "weight matrix gives its outputs. Keep it beside the base (PeftModel); unload() gives the base back."
    )


class RoutedLinear(LowRankLinear):
    """A frozen linear layer with adapters of a routed method on it.

    A method names its containers in ``adapter_layer_names`` (parameters by adapter name, experts stacked in one), makes
    the parameters in `make_parameters` and gives hidden values, gates and B in `route`.

    Attributes:
        record_gates: whether the next forward passes keep their gates (`cme.adapters.routed.gates`).
        gates: by adapter name, the gates of the last forward pass that kept them, [..., k]; they sum to 1, or to about 1
            where ``gate_sum`` is ``"free"``.
        balanced_gates: the same before such a competition; they always sum to 1, and the balance term is about them.
        key: the layer's name in the base model.
        balance: what the layers of one base model share for the balance term; None outside a model.
    """

    other_param_names: tuple[str, ...] = ("plans", "gates", "balanced_gates")

    def __init__(self, base_layer: nn.Linear, adapter_name: str, config: RoutedConfig) -> None:
        super().__init__(base_layer, adapter_name, config)
        self.record_gates = False
        self.gates: dict[str, Tensor] = {}
        self.balanced_gates: dict[str, Tensor] = {}
        self.key = ""
        self.balance: Balance | None = None

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

    def balances(self, config: RoutedConfig) -> bool:
        """Whether `route` itself applies `balanced`, to gates that sum to 1, because those that it returns do not."""
        return False

    def balanced(self, adapter_name: str, config: RoutedConfig, gates: Tensor) -> Tensor:
        """The gates [..., k], whose gradient in training has that of the balance term added."""
        if not config.balance_weight:
            return gates
        if self.record_gates:
            self.balanced_gates[adapter_name] = gates
        if self.balance is None or not (self.training and torch.is_grad_enabled()):
            return gates
        return self.balance.apply(gates, adapter_name, self.key, config)

    def add(self, result: Tensor, adapter_name: str, plan: Plan, x: Tensor, dropped: Tensor) -> Tensor:
        """``result`` with the gated experts of one adapter added."""
        hidden, gates, up = self.route(adapter_name, plan.config, x, dropped)
        if not self.balances(plan.config):
            gates = self.balanced(adapter_name, plan.config, gates)
        if self.record_gates:
            self.gates[adapter_name] = gates
        return add_routed(result, hidden, gates, up, plan.scaling)

    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Raise `AdapterError`: gates depend on the token."""
        refuse_merge()

    def unmerge(self) -> None:
        """Raise `AdapterError`: nothing is ever merged."""
        refuse_merge()
