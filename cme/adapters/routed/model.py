"""The base class of the tuner models of all routed methods."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from cme.adapters.low_rank.config import LowRankConfig
from cme.adapters.low_rank.model import LowRankModel
from cme.adapters.routed.balance import balance_term, layer_masks, share_of_batch
from cme.adapters.routed.gates import recorded_gates
from cme.adapters.routed.injection import Balance
from cme.adapters.routed.layer import RoutedLinear, refuse_merge
from cme.errors import UsageError

__all__ = ["RoutedModel"]


class RoutedModel(LowRankModel):
    """A base model with adapters of a routed method. A subclass sets ``prefix`` and ``tuner_layer_cls``."""

    tuner_layer_cls: type[RoutedLinear]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._shared().attach(self.model)

    def _shared(self) -> Balance:
        """Return the shared state of the layers, which an adapter added by ``model.add_adapter`` may have created."""
        shared = self.__dict__.get("_balance")
        if shared is None:
            layers = (module for module in self.model.modules() if isinstance(module, RoutedLinear))
            shared = next((layer.balance for layer in layers if layer.balance is not None), None) or Balance()
            self.__dict__["_balance"] = shared
        balance: Balance = shared
        return balance

    def _create_and_replace(
        self,
        peft_config: LowRankConfig,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        **kwargs: Any,
    ) -> None:
        super()._create_and_replace(peft_config, adapter_name, target, target_name, parent, current_key, **kwargs)
        layer = getattr(parent, target_name)
        if isinstance(layer, RoutedLinear) and layer.balance is None:
            self._shared().adopt(layer, current_key)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the base model. In training, the balance term of the active adapters is added to ``outputs.loss``.

        Raises:
            UsageError: Reentrant gradient checkpointing is on, or the model is compiled and has a balance term but computes no
                loss.
        """
        if torch.compiler.is_compiling() and self.training and torch.is_grad_enabled():
            return self._compiled(*args, **kwargs)
        return self.model(*args, **kwargs)

    def _compiled(self, *args: Any, **kwargs: Any) -> Any:
        """Call the base model and add the balance term to its loss, so that the compiled graph has no break.

        The choices of the experts are counted here as well, because the second forward pass of gradient checkpointing is part
        of the same graph.
        """
        configs = {name: self.peft_config[name] for name in self.active_adapters}
        if not any(config.watched for config in configs.values()):
            return self.model(*args, **kwargs)
        self._shared().refuse_reentrant()
        with recorded_gates(self.model) as layers:
            self._shared().in_loss = True
            try:
                outputs = self.model(*args, **kwargs)
            finally:
                self._shared().in_loss = False
            encodes = getattr(getattr(self.model, "config", None), "is_encoder_decoder", False)
            masks, share = layer_masks(kwargs, encodes=encodes), share_of_batch(kwargs, shifts=not encodes)
            self._count(layers, masks)
            weighted = any(config.balance_weight for config in configs.values())
            if weighted and getattr(outputs, "loss", None) is None:
                raise UsageError(
                    "under torch.compile, balance_weight adds to the model's own loss, but the model was called without "
                    "labels (or with return_dict=False). Pass labels, do not compile, or set balance_weight to 0."
                )
            for name, config in configs.items():
                used = [(layer, masks(path)) for path, layer in layers.items() if name in layer.balanced_gates]
                if config.balance_weight and used:
                    gates = [(layer.balanced_gates[name], mask) for layer, mask in used]
                    choices = [layer.chosen.get(name) for layer, _ in used]
                    term = balance_term(gates, config.balance_form, choices)
                    outputs.loss = outputs.loss + config.balance_weight * share * term
        return outputs

    def _count(self, layers: Mapping[str, RoutedLinear], masks: Callable[[str], Tensor | None]) -> None:
        """Count the chosen experts of the recorded gate weights. The default does nothing."""

    def unload(self) -> nn.Module:
        """Return the base model without adapters."""
        base: nn.Module = super().unload()
        self._shared().detach()
        return base

    def _check_merge_allowed(self) -> None:
        refuse_merge()
