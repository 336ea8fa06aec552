"""Finds the language model inside a vision-language model."""

from collections.abc import Iterable
from typing import Any

__all__ = ["language_prefix", "other_parts", "outside_language"]


def language_prefix(model: Any) -> str | None:
    """Return the name of the language model inside a base, such as ``model.language_model``.

    Args:
        model: a model with or without adapters. Its weights can be on the meta device.

    Returns:
        The module's name, or None if the whole base is a language model.
    """
    base = _base(model)
    config = getattr(base, "config", None)
    if config is None or not hasattr(base, "get_decoder") or getattr(config, "is_encoder_decoder", False):
        return None
    if config.get_text_config(decoder=True) is config:
        return None
    decoder = base.get_decoder()
    return next((name for name, module in base.named_modules() if module is decoder and name), None)


def outside_language(model: Any, names: Iterable[str]) -> list[str]:
    """Return the modules or parameters that do not belong to the language model of a base.

    The output layer belongs to the language model. Text never reaches the other modules, such as a vision tower.

    Args:
        model: a model with or without adapters.
        names: names of modules or parameters as in the base, without the parts that PEFT adds.

    Returns:
        These names in the same order. The list is empty if the whole base is a language model.
    """
    prefix = language_prefix(model)
    if prefix is None:
        return []
    inside = [prefix, *_head(_base(model))]
    return [name for name in names if not any(name == part or name.startswith(f"{part}.") for part in inside)]


def other_parts(model: Any) -> list[str]:
    """Return the names of the largest modules of a base that are outside of its language model and have weights.

    Args:
        model: a model with or without adapters.

    Returns:
        Names such as ``model.vision_tower`` and ``model.multi_modal_projector``.
    """
    base, prefix = _base(model), language_prefix(model)
    parts: list[str] = []
    if prefix is None:
        return parts
    inside = [prefix, *_head(base)]
    for name, module in base.named_modules():
        around = name == "" or any(part == name or part.startswith(f"{name}.") for part in inside)
        below = any(name == part or name.startswith(f"{part}.") for part in (*inside, *parts))
        if not around and not below and any(True for _ in module.parameters()):
            parts.append(name)
    return parts


def _head(base: Any) -> list[str]:
    """Return the name of the output layer, if the base has one."""
    head = base.get_output_embeddings()
    return [name for name, module in base.named_modules() if head is not None and module is head]


def _base(model: Any) -> Any:
    return model.get_base_model() if hasattr(model, "get_base_model") else model
