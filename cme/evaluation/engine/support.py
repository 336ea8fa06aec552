"""Detects which models the prefix engine supports."""

import inspect
from typing import Any

__all__ = ["pads_safely", "position_bytes", "switch_length", "text_obstacle", "unsupported", "window_length"]

_NEEDED = ("past_key_values", "position_ids", "logits_to_keep")

_ATTENTION = {"DynamicLayer", "DynamicSlidingWindowLayer"}
"""Cache layers that mask padding, so that rows of different lengths do not affect each other."""


def unsupported(model: Any) -> str | None:
    """Return why the engine cannot evaluate a model, or None if it can.

    Args:
        model: a causal language model or a `PeftModel`.
    """
    if kind := _virtual_tokens(model):
        return f"the adapter ({kind}) adds virtual tokens before the prompt"
    if _invoked(model):
        return (
            "the adapter is active only after certain tokens (alora_invocation_tokens), which may be in a shared prefix"
        )
    return _cannot_cache(_base(model))


def pads_safely(model: Any) -> bool:
    """Return whether rows of different lengths can be padded and computed together without affecting each other.

    This is not possible if the model has a recurrent state that reads padding, if it does not accept ``position_ids``, or if an
    adapter adds virtual tokens before the padding.

    Args:
        model: a causal language model or a `PeftModel`.
    """
    base = _base(model)
    if _virtual_tokens(model) or getattr(base, "_is_stateful", False) or not base._supports_default_dynamic_cache():
        return False
    return _cache_layers(base) <= _ATTENTION and "position_ids" in inspect.signature(base.forward).parameters


def switch_length(model: Any) -> int | None:
    """Return the length beyond which a model uses other rotary embeddings for the whole pass, or None if there is none.

    Rotary embeddings of the types ``longrope`` and ``dynamic`` choose their frequencies by the longest row of a pass. A cache
    that was computed below this length cannot be used in a pass beyond it.

    Args:
        model: a causal language model or a `PeftModel`.
    """
    config = _base(model).config.get_text_config(decoder=True)
    parameters = getattr(config, "rope_parameters", None) or {}
    # Some models have separate parameters for each type of layer.
    several = [parameters, *(value for value in parameters.values() if isinstance(value, dict))]
    kinds = [(str(item.get("rope_type", "")), item.get("original_max_position_embeddings")) for item in several]
    lengths = [
        original if original and kind == "longrope" else config.max_position_embeddings
        for kind, original in kinds
        if kind == "longrope" or "dynamic" in kind
    ]
    return min(map(int, lengths), default=None)


def window_length(model: Any) -> int | None:
    """Return the length up to which every token of a row attends to all tokens before it, or None if there is no limit.

    Layers with a sliding window or with attention in chunks have such a limit. They count positions in the cache, padding
    included. Up to this length they are ordinary layers, whose keys and values rows can share.

    Args:
        model: a causal language model or a `PeftModel`.
    """
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicSlidingWindowLayer

    layers = DynamicCache(config=_base(model).config).layers
    return min(
        (int(layer.sliding_window) for layer in layers if isinstance(layer, DynamicSlidingWindowLayer)), default=None
    )


def _virtual_tokens(model: Any) -> str | None:
    """Return the type of an active adapter that adds virtual tokens before the prompt, or None."""
    from peft import PeftModel

    if isinstance(model, PeftModel):
        for config in (model.peft_config[name] for name in model.active_adapters):
            if config.is_prompt_learning:
                return str(getattr(config.peft_type, "value", config.peft_type))
    return None


def _invoked(model: Any) -> bool:
    """Return whether an active adapter depends on tokens of the prompt."""
    from peft import PeftModel

    configs = [model.peft_config[name] for name in model.active_adapters] if isinstance(model, PeftModel) else []
    return any(getattr(config, "alora_invocation_tokens", None) for config in configs)


def _base(model: Any) -> Any:
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _cache_layers(model: Any) -> set[str]:
    """Return the names of the layer classes of the model's cache."""
    from transformers import DynamicCache

    return {type(layer).__name__ for layer in DynamicCache(config=model.config).layers}


def _cannot_cache(model: Any) -> str | None:
    config, name = model.config, type(model).__name__
    if getattr(config, "is_encoder_decoder", False):
        return f"{name} is an encoder-decoder model"
    if any(getattr(each, "use_cache", True) is False for each in (config, config.get_text_config(decoder=True))):
        return f"the configuration of {name} disables the cache (use_cache: false)"
    if getattr(model, "_is_stateful", False) or not model._supports_default_dynamic_cache():
        return f"{name} has a recurrent state instead of a cache of keys and values"
    if odd := sorted(_cache_layers(model) - _ATTENTION):
        return f"the cache of {name} cannot be shared between requests ({', '.join(odd)})"
    takes = inspect.signature(model.forward).parameters
    if lacking := [argument for argument in _NEEDED if argument not in takes]:
        return f"the forward method of {name} does not accept {', '.join(lacking)}"
    return None


def position_bytes(model: Any) -> int:
    """Measure the number of bytes that the keys and values of one position take in all layers."""
    import torch

    device = next(model.parameters()).device
    with torch.no_grad():
        cache = model(input_ids=torch.zeros((1, 2), dtype=torch.long, device=device), use_cache=True).past_key_values
    return sum((layer.keys.nbytes + layer.values.nbytes) // 2 for layer in cache.layers)


def text_obstacle(kwargs: dict[str, Any]) -> str | None:
    """Return why the engine cannot generate text with these settings, or None if it can.

    Args:
        kwargs: lm-eval's normalised generation settings, without ``until`` and ``max_gen_toks``.
    """
    unsupported_settings = {
        key: value for key, value in kwargs.items() if (key, value) not in (("do_sample", False), ("temperature", 0.0))
    }
    return f"the task sets {', '.join(sorted(unsupported_settings))}" if unsupported_settings else None
