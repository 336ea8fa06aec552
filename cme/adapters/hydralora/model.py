"""HydraLoRA on a whole model."""

from cme.adapters.hydralora.layer import HydraLoraLinear
from cme.adapters.routed.model import RoutedModel

__all__ = ["HydraLoraModel"]


class HydraLoraModel(RoutedModel):
    """A base model with HydraLoRA adapters, created by ``peft.get_peft_model(model, HydraLoraConfig(...))``."""

    prefix = "hydralora_"
    tuner_layer_cls = HydraLoraLinear
