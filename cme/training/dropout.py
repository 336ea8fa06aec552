"""What transformers adds in training mode for the base itself: its dropout (OPT, GPT-2, Falcon) and the loss of its router."""

from typing import Any

__all__ = ["copy_dropout", "switch_off_dropout"]

_ROUTER_LOSS = "output_router_logits"
"""With this setting, models of transformers add ``router_aux_loss_coef`` times the loss of their router if they have labels."""


def switch_off_dropout(model: Any) -> None:
    """Set all dropout rates of a base to 0, including those of whole layers, and switch off the loss of its router.

    Training then uses only the dropout of the adapter's settings. Bases store their rates in dropout modules, in attributes of
    other modules, or in the configuration. The loss that a mixture of experts adds for its own router would be multiplied by
    the number of accumulated batches, and would count in the validation loss.

    Args:
        model: The base without an adapter. The model and its configuration are changed in place.
    """
    from torch.nn.modules.dropout import _DropoutNd

    for module in model.modules():
        if isinstance(module, _DropoutNd):
            module.p = 0.0
        for name in _rates(module):
            setattr(module, name, 0.0)
    _set(model.config, None)


def copy_dropout(config: Any, source: Any) -> None:
    """Copy what `switch_off_dropout` changes from one configuration to another of the same class.

    Args:
        config: The transformers configuration that is changed in place.
        source: The configuration with the values.
    """
    _set(config, source)


def _set(config: Any, source: Any) -> None:
    """Copy the rates from ``source``, including those of nested configurations. If ``source`` is None, set them to 0."""
    from transformers import PreTrainedConfig

    for name in _rates(config if source is None else source):
        # Configurations check the types of their values, so an integer rate must stay an integer.
        setattr(config, name, type(getattr(config, name))(0) if source is None else getattr(source, name))
    if hasattr(config, _ROUTER_LOSS):
        setattr(config, _ROUTER_LOSS, False if source is None else getattr(source, _ROUTER_LOSS))
    for name, value in vars(config).items():
        if isinstance(value, PreTrainedConfig):
            _set(value, source and getattr(source, name))


def _rates(holder: Any) -> list[str]:
    """Return the names of the attributes that hold a dropout rate above 0."""
    return [
        name
        for name, value in vars(holder).items()
        if "drop" in name and isinstance(value, int | float) and not isinstance(value, bool) and value > 0
    ]
