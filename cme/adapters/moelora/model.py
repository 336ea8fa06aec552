"""MoELoRA on a whole model."""

from cme.adapters.moelora.layer import MoeLoraLinear
from cme.adapters.routed.model import RoutedModel

__all__ = ["MoeLoraModel"]


class MoeLoraModel(RoutedModel):
    """A base model with MoELoRA adapters, created by ``peft.get_peft_model(model, MoeLoraConfig(...))``."""

    prefix = "moelora_"
    tuner_layer_cls = MoeLoraLinear
