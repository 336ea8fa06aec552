"""What the tuner models of all routed methods share: the balance term, and what they refuse."""

from typing import Any

import torch
from torch import nn

from cme.adapters.low_rank.model import LowRankModel
from cme.adapters.routed.balance import balance_term, layer_masks, share_of_batch
from cme.adapters.routed.gates import recorded_gates
from cme.adapters.routed.layer import RoutedLinear, refuse_merge
from cme.errors import UsageError

__all__ = ["RoutedModel"]


class RoutedModel(LowRankModel):
    """A base model with adapters of a routed method; a method sets ``prefix`` and ``tuner_layer_cls``."""

    tuner_layer_cls: type[RoutedLinear]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Looked up once, and here: asking a thousand modules takes a millisecond a step, and torch.compile cannot take a
        # cached property into its graph.
        self._checkpointing: list[nn.Module] = [
            module for module in self.model.modules() if hasattr(module, "gradient_checkpointing")
        ]

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The model's own outputs; in training, the balance term of the active adapters is added to ``outputs.loss``.

        Raises:
            UsageError: reentrant gradient checkpointing is on, or a balance term is wanted where no loss is computed.
        """
        if not (self.training and torch.is_grad_enabled()):
            return self.model(*args, **kwargs)
        self._refuse_reentrant()
        weights = {name: self.peft_config[name].balance_weight for name in self.active_adapters}
        if not any(weights.values()):
            return self.model(*args, **kwargs)
        with recorded_gates(self.model) as layers:
            outputs = self.model(*args, **kwargs)
            if getattr(outputs, "loss", None) is None:
                raise UsageError(
                    "balance_weight adds to the model's own loss, but the model was called without labels (or with "
                    "return_dict=False). Pass labels, or set balance_weight to 0."
                )
            encodes = getattr(getattr(self.model, "config", None), "is_encoder_decoder", False)
            masks, share = layer_masks(kwargs, encodes=encodes), share_of_batch(kwargs, shifts=not encodes)
            for name, weight in weights.items():
                gates = [(layer.gates[name], masks(path)) for path, layer in layers.items() if name in layer.gates]
                if weight and gates:
                    outputs.loss = outputs.loss + weight * share * balance_term(gates)
        return outputs

    def _refuse_reentrant(self) -> None:
        for module in self._checkpointing:
            if module.gradient_checkpointing:
                function = getattr(module, "_gradient_checkpointing_func", None)
                if getattr(function, "keywords", {}).get("use_reentrant"):
                    raise UsageError(
                        "reentrant gradient checkpointing silently loses the router's gradient. "
                        'Use gradient_checkpointing_kwargs={"use_reentrant": False}.'
                    )

    def _check_merge_allowed(self) -> None:
        refuse_merge()
