"""The dropout that a base brings along (OPT, GPT-2, Falcon), which transformers switches on in training mode."""

from typing import Any

__all__ = ["copy_dropout", "switch_off_dropout"]


def switch_off_dropout(model: Any) -> None:
    """Switch off every dropout, skipped layers included, of a base.

    Training then has the dropout that the adapter's settings state, and no other. A base keeps its rates in modules, in numbers
    beside them, or in its configuration alone; all of them become 0.

    Args:
        model: the base, before an adapter is put on it (changed in place, its configuration included).
    """
    from torch.nn.modules.dropout import _DropoutNd

    for module in model.modules():
        if isinstance(module, _DropoutNd):
            module.p = 0.0
        for name in _rates(module):
            setattr(module, name, 0.0)
    _set(model.config, None)


def copy_dropout(config: Any, source: Any) -> None:
    """Give a configuration the dropout rates of another one of its kind.

    Args:
        config: a transformers configuration (changed in place).
        source: the configuration that has the rates.
    """
    _set(config, source)


def _set(config: Any, source: Any) -> None:
    """Take the rates, those of nested configurations included, from ``source``; None: all become 0."""
    from transformers import PreTrainedConfig

    for name in _rates(config if source is None else source):
        # Configurations check the types of their values.
        setattr(config, name, type(getattr(config, name))(0) if source is None else getattr(source, name))
    for name, value in vars(config).items():
        if isinstance(value, PreTrainedConfig):
            _set(value, source and getattr(source, name))


def _rates(holder: Any) -> list[str]:
    """Names of the attributes that hold a dropout rate above 0."""
    return [
        name
        for name, value in vars(holder).items()
        if "drop" in name and isinstance(value, int | float) and not isinstance(value, bool) and value > 0
    ]
