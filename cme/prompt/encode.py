"""Encoding of texts as token ids of context and answer, in the same way for training and evaluation."""

from typing import Any

from cme.errors import UsageError

__all__ = ["AnswerError", "encode", "encode_pair"]

_PROBE = "a"
_ANCHORS = ("a", "1", ")", "\n")
"""Texts that precede an answer when it is encoded separately, because some tokenizers add a space at the start of a text."""


class AnswerError(UsageError):
    """The tokenizer cannot encode an answer after its context."""


def encode(tokenizer: Any, text: str) -> list[int]:
    """Encode a text that will be continued.

    Special tokens before the text are those of the tokenizer's default, without a second BOS. Special tokens that the tokenizer
    adds after the text (``add_eos_token``, ``[SEP]``) are left out, because the model would read an end before the answer.

    Args:
        tokenizer: tokenizer of the base model.
        text: the text.

    Returns:
        The token ids.
    """
    first = tokenizer.bos_token or tokenizer.eos_token  # lm-eval's prefix token
    if first and text.startswith(first):
        return list(tokenizer.encode(text, add_special_tokens=False))
    ids = list(tokenizer.encode(text))
    if ids and ids[-1] in tokenizer.all_special_ids:
        return ids[: len(ids) - _added_after(tokenizer)]
    return ids


def encode_pair(tokenizer: Any, context: str, continuation: str) -> tuple[list[int], list[int]]:
    """Encode a context and its continuation.

    White space at the end of the context belongs to the continuation. If the tokens of the whole text start with the tokens of
    the context, the continuation has the remaining tokens, as in lm-eval. Otherwise a token spans the boundary, and the
    continuation is encoded separately. The model therefore reads the same context before every continuation.

    Args:
        tokenizer: tokenizer of the base model.
        context: a non-empty text.
        continuation: the text after it.

    Returns:
        Token ids of the context and of the continuation. Both are non-empty.

    Raises:
        AnswerError: the tokenizer has no tokens for the continuation, or its tokens decode to another text.
    """
    stripped = context.rstrip()
    continuation = context[len(stripped) :] + continuation
    context_ids = encode(tokenizer, stripped)
    whole = encode(tokenizer, stripped + continuation)
    blank = not continuation.strip()
    if whole[: len(context_ids)] == context_ids:
        answer = whole[len(context_ids) :]
        if answer and (blank or _text(tokenizer, answer).strip()):
            return context_ids, answer
    expected = _text(tokenizer, whole)
    for answer in _alone(tokenizer, continuation):
        if (
            answer
            and (blank or _text(tokenizer, answer).strip())
            and _text(tokenizer, context_ids + answer) == expected
        ):
            return context_ids, answer
    raise AnswerError(f"the tokenizer has no tokens for the answer {continuation!r} after {stripped[-20:]!r}")


def _alone(tokenizer: Any, text: str) -> list[list[int]]:
    """Return candidates for the token ids of a text inside another text."""
    ways = []
    for anchor in _ANCHORS:
        before = tokenizer.encode(anchor, add_special_tokens=False)
        both = tokenizer.encode(anchor + text, add_special_tokens=False)
        if both[: len(before)] == before:
            ways.append(list(both[len(before) :]))
    return [*ways, list(tokenizer.encode(text, add_special_tokens=False))]


def _text(tokenizer: Any, ids: list[int]) -> str:
    return str(tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))


def _added_after(tokenizer: Any) -> int:
    """Return the number of special tokens that the tokenizer adds after a text."""
    bare = tokenizer.encode(_PROBE, add_special_tokens=False)
    full = tokenizer.encode(_PROBE)
    for start in range(len(full) - len(bare) + 1):
        if full[start : start + len(bare)] == bare:
            return len(full) - start - len(bare)
    return 0
