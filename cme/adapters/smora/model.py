"""SMoRA on a whole model."""

from cme.adapters.routed.rankwise import RankwiseModel
from cme.adapters.smora.layer import SMoraLinear

__all__ = ["SMoraModel"]


class SMoraModel(RankwiseModel):
    """A base model with SMoRA adapters, created by ``peft.get_peft_model(model, SMoraConfig(...))``."""

    prefix = "smora_"
    tuner_layer_cls = SMoraLinear
