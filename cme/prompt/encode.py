"""Text → token ids, split into context and answer in the same way for training and for evaluation."""

from typing import Any

from cme.errors import UsageError

__all__ = ["AnswerError", "encode", "encode_pair"]

_PROBE = "a"
_ANCHORS = ("a", "1", ")", "\n")
"""Texts after which an answer is encoded on its own: a tokenizer may put a space before a text that stands at the start."""


class AnswerError(UsageError):
    """The tokenizer cannot write an answer behind its context."""


def encode(tokenizer: Any, text: str) -> list[int]:
    """Encode a text that is to be continued.

    The tokenizer's own default decides about special tokens before the text, but there is never a second BOS. Special tokens
    that the tokenizer adds after the text (``add_eos_token``, ``[SEP]``) are left out: a model would read the end of the text
    before the answer.

    Args:
        tokenizer: the base model's tokenizer.
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

    White space at the end of the context belongs to the continuation. Where the tokens of the context begin the tokens of the
    whole text, the continuation is the rest, as in lm-eval. Where they do not (a token spans the border), the continuation is
    encoded on its own, so that the model reads the same context whatever follows it.

    Args:
        tokenizer: the base model's tokenizer.
        context: a non-empty text.
        continuation: what follows it.

    Returns:
        Token ids of the context and of the continuation, neither empty.

    Raises:
        AnswerError: the tokenizer has no tokens for the continuation, or writes another text in its place.
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
    raise AnswerError(f"the tokenizer has no tokens for the answer {continuation!r} behind {stripped[-20:]!r}")


def _alone(tokenizer: Any, text: str) -> list[list[int]]:
    """Token ids of a text in the middle of another text, one list for every way to find them."""
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
    """How many special tokens the tokenizer adds after a text."""
    bare = tokenizer.encode(_PROBE, add_special_tokens=False)
    full = tokenizer.encode(_PROBE)
    for start in range(len(full) - len(bare) + 1):
        if full[start : start + len(bare)] == bare:
            return len(full) - start - len(bare)
    return 0
