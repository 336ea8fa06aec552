"""TeamLoRA on a whole model."""

from cme.adapters.routed.model import RoutedModel
from cme.adapters.teamlora.layer import TeamLoraLinear

__all__ = ["TeamLoraModel"]


class TeamLoraModel(RoutedModel):
    """A base model with TeamLoRA adapters, created by ``peft.get_peft_model(model, TeamLoraConfig(...))``."""

    prefix = "teamlora_"
    tuner_layer_cls = TeamLoraLinear
