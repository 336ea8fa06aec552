"""The base class of the layers of all routed methods."""

from abc import abstractmethod
from collections.abc import Callable
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
    """Raise the error for every attempt to merge a routed method."""
    raise AdapterError(
        "this adapter cannot be merged into the base, because its gate weights differ for every token and no single weight "
        "matrix gives its outputs. Use it unmerged as a PeftModel, or call unload() to get the base without the adapter."
    )


class RoutedLinear(LowRankLinear):
    """A frozen linear layer with adapters of a routed method.

    A subclass lists its parameter containers in ``adapter_layer_names``, creates the parameters in `make_parameters`, and
    computes the hidden values and gate weights in `route`.

    Attributes:
        record_gates: Whether forward passes keep their gate weights (see `cme.adapters.routed.gates`).
        gates: The gate weights of the last recorded forward pass, [..., k], by adapter name. They sum to 1, or to about 1 if
            ``gate_sum`` is ``"free"``.
        values: The router's values φ of the same forward pass, [..., k], by adapter name. They sum to 1 and are not negative.
            They are the gate weights themselves, unless the method changes φ by a competition.
        masks: Functions that change the gate weights by adapter name (see `cme.adapters.routed.masks`).
        balanced_gates: The gate weights before a competition with ``gate_sum="free"`` or before a selection. They always sum
            to 1, and the balance term is computed from them.
        chosen: 1 for each expert that a token uses and 0 for the others, [..., k], by adapter name, if `route` selects
            experts and the adapter has a balance term.
        key: The layer's name in the base model.
        balance: The state of the balance term that the layers of a base model share. None outside of a model.
    """

    other_param_names: tuple[str, ...] = ("plans", "gates", "values", "masks", "balanced_gates", "chosen")

    def __init__(self, base_layer: nn.Linear, adapter_name: str, config: RoutedConfig) -> None:
        super().__init__(base_layer, adapter_name, config)
        self.record_gates = False
        self.gates: dict[str, Tensor] = {}
        self.values: dict[str, Tensor] = {}
        self.masks: dict[str, Callable[[Tensor], Tensor | None]] = {}
        self.balanced_gates: dict[str, Tensor] = {}
        self.chosen: dict[str, Tensor] = {}
        self.key = ""
        self.balance: Balance | None = None

    @abstractmethod
    def route(
        self, adapter_name: str, config: RoutedConfig, x: Tensor, dropped: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the hidden values and the gate weights.

        Args:
            adapter_name: The adapter's name.
            config: The adapter's configuration.
            x: The layer's input [..., d], which is the input of the router.
            dropped: The input after dropout, which is the input of the experts. Without dropout it is the same tensor as
                ``x``.

        Returns:
            The hidden values [..., k·r] (or [..., r]), the gate weights [..., k] and the matrix B [m, k·r].
        """

    def balances(self, config: RoutedConfig) -> bool:
        """Return whether `route` calls `balanced` itself.

        It does so on gate weights that sum to 1, if those that it returns do not.
        """
        return False

    def competes(self, config: RoutedConfig) -> bool:
        """Return whether the gate weights differ from the router's values φ. `route` then stores φ in ``values``."""
        return False

    def balanced(self, adapter_name: str, config: RoutedConfig, gates: Tensor, chosen: Tensor | None = None) -> Tensor:
        """Return the gate weights [..., k]. In training, the gradient of the balance term is added to theirs.

        Args:
            adapter_name: The adapter's name.
            config: The adapter's configuration.
            gates: Gate weights that sum to 1, before a selection.
            chosen: 1 for each expert that a token uses and 0 for the others, [..., k]. None without a selection.
        """
        if not config.balance_weight:
            return gates
        if self.record_gates:
            self.balanced_gates[adapter_name] = gates
            if chosen is not None:
                self.chosen[adapter_name] = chosen
        if self.balance is None or not (self.training and torch.is_grad_enabled()):
            return gates
        return self.balance.apply(gates, chosen, adapter_name, self.key, config)

    def combine(
        self, result: Tensor, adapter_name: str, hidden: Tensor, gates: Tensor, up: Tensor, scaling: float
    ) -> Tensor:
        """Add the gated experts to ``result``. The default is `add_routed`.

        Args:
            result: The output to which the experts are added, [..., m].
            adapter_name: The adapter's name.
            hidden: The hidden values that `route` returned.
            gates: The gate weights [..., k], after the masks.
            up: The matrix B that `route` returned.
            scaling: The factor of the output.
        """
        return add_routed(result, hidden, gates, up, scaling)

    def expert_matrices(self, adapter_name: str) -> tuple[Tensor, Tensor] | None:
        """Return the matrices A [k, r, d] (or [1, r, d] if the experts share it) and B [k, m, r] of the experts.

        None means that the experts' matrices are stacked in the containers whose names end in ``_A`` and ``_B``.

        Args:
            adapter_name: The adapter's name.
        """
        return None

    def add(self, result: Tensor, adapter_name: str, plan: Plan, x: Tensor, dropped: Tensor) -> Tensor:
        """Add the gated outputs of the experts of one adapter to ``result``. See `LowRankLinear.add`."""
        hidden, gates, up = self.route(adapter_name, plan.config, x, dropped)
        if not self.balances(plan.config):
            gates = self.balanced(adapter_name, plan.config, gates)
        if self.record_gates:
            self.gates[adapter_name] = gates
            if not self.competes(plan.config):
                self.values[adapter_name] = gates
        if mask := self.masks.get(adapter_name):
            masked = mask(gates)
            if masked is None:
                return result
            gates = masked
        return self.combine(result, adapter_name, hidden, gates, up, plan.scaling)

    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Raise `AdapterError`, because the gate weights depend on the token."""
        refuse_merge()

    def unmerge(self) -> None:
        """Raise `AdapterError`, because a routed adapter is never merged."""
        refuse_merge()
