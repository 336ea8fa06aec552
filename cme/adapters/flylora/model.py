"""FlyLoRA on a whole model."""

from cme.adapters.flylora.layer import FlyLoraLinear
from cme.adapters.routed.rankwise import RankwiseModel

__all__ = ["FlyLoraModel"]


class FlyLoraModel(RankwiseModel):
    """A base model with FlyLoRA adapters, created by ``peft.get_peft_model(model, FlyLoraConfig(...))``."""

    prefix = "flylora_"
    tuner_layer_cls = FlyLoraLinear
