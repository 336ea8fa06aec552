"""MoLA on a whole model."""

from typing import Any

from torch import nn

from cme.adapters.mola.config import MolaConfig, matches
from cme.adapters.mola.layer import MolaLinear
from cme.adapters.routed.model import RoutedModel
from cme.errors import UsageError

__all__ = ["MolaModel"]


class MolaModel(RoutedModel):
    """A base model with MoLA adapters, created by ``peft.get_peft_model(model, MolaConfig(...))``."""

    prefix = "mola_"
    tuner_layer_cls = MolaLinear

    def _create_and_replace(
        self,
        peft_config: MolaConfig,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        **kwargs: Any,
    ) -> None:
        own = peft_config.for_layer(current_key)
        super()._create_and_replace(own, adapter_name, target, target_name, parent, current_key, **kwargs)

    def inject_adapter(self, model: nn.Module, adapter_name: str, *args: Any, **kwargs: Any) -> None:
        """Add an adapter to the layers of a model. See PEFT's ``BaseTuner.inject_adapter``.

        Raises:
            UsageError: A key of ``experts_pattern`` matches no adapted layer.
        """
        super().inject_adapter(model, adapter_name, *args, **kwargs)
        for pattern in self.peft_config[adapter_name].experts_pattern or {}:
            if not any(matches(pattern, name) for name in self.targeted_module_names):
                raise UsageError(
                    f"the key {pattern!r} of experts_pattern matches none of the adapted layers, such as "
                    f"{next(iter(self.targeted_module_names), 'none')}. Correct it, or leave it out."
                )
