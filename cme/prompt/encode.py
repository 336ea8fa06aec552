"""Text → token ids, split exactly as lm-eval splits context and continuation, so that training sees what evaluation scores."""

from typing import Any

__all__ = ["encode", "encode_pair"]


def encode(tokenizer: Any, text: str) -> list[int]:
    """Token ids of a text with the tokenizer's own default for special tokens; never a second BOS."""
    first = tokenizer.bos_token or tokenizer.eos_token  # what lm-eval takes for the prefix token
    if first and text.startswith(first):
        return list(tokenizer.encode(text, add_special_tokens=False))
    return list(tokenizer.encode(text))


def encode_pair(tokenizer: Any, context: str, continuation: str) -> tuple[list[int], list[int]]:
    """Token ids of context and continuation as lm-eval's causal models have them.

    White space at the end of the context belongs to the continuation; the continuation is what the encoded whole has after
    as many tokens as the encoded context. (Where a token would span the border, the two are not the encoded whole. In our
    formats none does: answers follow a space, a line break or a special token.)

    Args:
        tokenizer: the base model's tokenizer.
        context: a non-empty text.
        continuation: what follows it.

    Returns:
        Two lists of ids: what the model sees one after the other.
    """
    stripped = context.rstrip()
    continuation = context[len(stripped) :] + continuation
    context_ids = encode(tokenizer, stripped)
    return context_ids, encode(tokenizer, stripped + continuation)[len(context_ids) :]
