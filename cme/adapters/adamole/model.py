"""AdaMoLE on a whole model."""

from cme.adapters.adamole.layer import AdaMoleLinear
from cme.adapters.routed.model import RoutedModel

__all__ = ["AdaMoleModel"]


class AdaMoleModel(RoutedModel):
    """A base model with AdaMoLE adapters, created by ``peft.get_peft_model(model, AdaMoleConfig(...))``."""

    prefix = "adamole_"
    tuner_layer_cls = AdaMoleLinear
