"""MoSLoRA on a whole model."""

from cme.adapters.low_rank.model import LowRankModel
from cme.adapters.moslora.layer import MosLoraLinear

__all__ = ["MosLoraModel"]


class MosLoraModel(LowRankModel):
    """A base model with MoSLoRA adapters, created by ``peft.get_peft_model(model, MosLoraConfig(...))``."""

    prefix = "moslora_"
    tuner_layer_cls = MosLoraLinear
