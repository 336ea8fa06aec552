"""CoMoL on a whole model."""

from cme.adapters.comol.layer import CoMolLinear
from cme.adapters.routed.model import RoutedModel

__all__ = ["CoMolModel"]


class CoMolModel(RoutedModel):
    """A base model with CoMoL adapters, created by ``peft.get_peft_model(model, CoMolConfig(...))``."""

    prefix = "comol_"
    tuner_layer_cls = CoMolLinear
