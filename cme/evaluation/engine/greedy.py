"""Ensures greedy decoding, regardless of the settings in a base model's `generation_config.json`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["end_tokens", "greedy"]

_KEPT = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id")


@contextmanager
def greedy(model: Any) -> Iterator[None]:
    """Replace a model's generation configuration by the default one in the block, except for its special tokens.

    Penalties, forced tokens, minimum lengths, beams and other settings have no effect in the block. The special tokens that end
    a text are kept because they are part of the base model's identity
    (`cme.models.tokenizer_files.tokenizer_fingerprint`).

    Args:
        model: a causal language model or a `PeftModel`.
    """
    from transformers import GenerationConfig

    base = _base(model)
    before = base.generation_config
    base.generation_config = GenerationConfig(**{name: getattr(before, name, None) for name in _KEPT})
    try:
        yield
    finally:
        base.generation_config = before


def end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    """Return the tokens that end a text: those of the model's generation configuration and that of the tokenizer."""
    configured = _base(model).generation_config.eos_token_id
    several = configured if isinstance(configured, list) else [configured]
    return frozenset(token for token in (*several, tokenizer.eos_token_id) if token is not None)


def _base(model: Any) -> Any:
    return model.get_base_model() if hasattr(model, "get_base_model") else model
