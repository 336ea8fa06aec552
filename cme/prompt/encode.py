"""Text → token ids, split exactly as lm-eval splits context and continuation, so that training sees what evaluation scores."""

from typing import Any

__all__ = ["encode", "encode_pair"]


def encode(tokenizer: Any, text: str) -> list[int]:
    """Token ids of a text with the tokenizer's own default for special tokens; never a second BOS."""
    bos = tokenizer.bos_token
    if bos and text.startswith(bos):
        return list(tokenizer.encode(text, add_special_tokens=False))
    return list(tokenizer.encode(text))


def encode_pair(tokenizer: Any, context: str, continuation: str) -> tuple[list[int], list[int]]:
    """Token ids of context and continuation as lm-eval's causal models have them.

    White space at the end of the context belongs to the continuation; the whole is encoded at once and cut at the context's
    length.

    Args:
        tokenizer: the base model's tokenizer.
        context: a non-empty text.
        continuation: what follows it.

    Returns:
        Two lists of ids; together they are the whole text.
    """
    stripped = context.rstrip()
    continuation = context[len(stripped) :] + continuation
    whole = encode(tokenizer, stripped + continuation)
    length = len(encode(tokenizer, stripped))
    return whole[:length], whole[length:]
