"""Greedy means greedy: the likeliest token at every step, whatever a base's `generation_config.json` asks for."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["end_tokens", "greedy"]

_KEPT = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id")


@contextmanager
def greedy(model: Any) -> Iterator[None]:
    """Let a model generate by default settings while the block runs; only its special tokens stay as configured.

    Penalties, forbidden or forced tokens, least lengths, beams, contrastive search, guidance, caches of other kinds and whatever
    later versions add have no effect then. Which tokens end a text does: it belongs to the base's identity
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
    """The tokens that end a text: those that the model's generation configuration names, and the tokenizer's own."""
    configured = _base(model).generation_config.eos_token_id
    several = configured if isinstance(configured, list) else [configured]
    return frozenset(token for token in (*several, tokenizer.eos_token_id) if token is not None)


def _base(model: Any) -> Any:
    return model.get_base_model() if hasattr(model, "get_base_model") else model
