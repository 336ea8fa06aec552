"""What the tuner models of all routed methods share: targets, the balance term, and what they refuse."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTuner
from torch import nn

from cme.adapters.routed.balance import balance_term, recorded_gates, share_of_batch
from cme.adapters.routed.config import RoutedConfig
from cme.adapters.routed.layer import RoutedLinear, refuse_merge
from cme.adapters.targets import ffn_targets
from cme.errors import UsageError

__all__ = ["RoutedModel"]


class RoutedModel(BaseTuner):  # type: ignore[misc]
    """A base model with adapters of a routed method; a method sets ``prefix`` and ``tuner_layer_cls``."""

    tuner_layer_cls: type[RoutedLinear]
    target_module_mapping: dict[str, list[str]] = {}  # noqa: RUF012 (PEFT's own attribute; targets come from ffn_targets)

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
        with recorded_gates([module for module in self.model.modules() if isinstance(module, RoutedLinear)]) as layers:
            outputs = self.model(*args, **kwargs)
            if getattr(outputs, "loss", None) is None:
                raise UsageError(
                    "balance_weight adds to the model's own loss, but the model was called without labels (or with "
                    "return_dict=False). Pass labels, or set balance_weight to 0."
                )
            for name, weight in weights.items():
                gates = [layer.gates[name] for layer in layers if name in layer.gates]
                if weight and gates:
                    encodes = getattr(getattr(self.model, "config", None), "is_encoder_decoder", False)
                    share = share_of_batch(kwargs, shifts=not encodes)
                    outputs.loss = outputs.loss + weight * share * balance_term(gates, kwargs.get("attention_mask"))
        return outputs

    @cached_property
    def _checkpointing(self) -> list[nn.Module]:
        """Modules that can checkpoint; looked up once, because asking a thousand modules takes a millisecond a step."""
        return [module for module in self.model.modules() if hasattr(module, "gradient_checkpointing")]

    def _refuse_reentrant(self) -> None:
        for module in self._checkpointing:
            if module.gradient_checkpointing:
                function = getattr(module, "_gradient_checkpointing_func", None)
                if getattr(function, "keywords", {}).get("use_reentrant"):
                    raise UsageError(
                        "reentrant gradient checkpointing silently loses the router's gradient. "
                        'Use gradient_checkpointing_kwargs={"use_reentrant": False}.'
                    )

    @contextmanager
    def _enable_peft_forward_hooks(self, *args: Any, **kwargs: Any) -> Iterator[None]:
        if kwargs.get("adapter_names") is not None:
            raise UsageError("adapter_names (another adapter for each row of a batch) works with LoRA only.")
        yield

    def _prepare_adapter_config(self, peft_config: RoutedConfig, model_config: dict[str, Any]) -> RoutedConfig:
        if peft_config.target_modules is None:
            peft_config.target_modules = set(ffn_targets(self.model))  # type: ignore[assignment]
        return peft_config

    def _create_and_replace(
        self,
        peft_config: RoutedConfig,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        **_: Any,
    ) -> None:
        if isinstance(target, self.tuner_layer_cls):
            target.update_layer(adapter_name, peft_config)
            return
        if not isinstance(target, nn.Linear):
            raise UsageError(
                f"{peft_config.peft_type.value} adapts torch.nn.Linear layers only; {current_key} is a "
                f"{type(target).__name__}. Name other layers with target_modules, or use LoRA."
            )
        layer = self.tuner_layer_cls(target, adapter_name, peft_config)
        if adapter_name not in self.active_adapters:
            layer.requires_grad_(False)
        self._replace_module(parent, target_name, layer, target)

    def _check_merge_allowed(self) -> None:
        refuse_merge()
