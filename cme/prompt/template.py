"""The prompt format ``chat``: the chat template of the base model, with output that does not depend on date or time zone."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, tzinfo
from typing import Any, Self

from cme.errors import UsageError

__all__ = ["TEMPLATE_DATE", "chat_context", "check_template"]

TEMPLATE_DATE = "2024-07-26"
"""The current date for all chat templates. It is the default date of Llama 3's templates."""

_SECONDS = "1721995200"  # %s depends on the time zone of the machine

_PROBES = ("What is the first letter?", "Is water wet?\nAnswer with one word.")
_REPEATS = 8


def chat_context(tokenizer: Any, prompt: str) -> str:
    """Render a prompt as the turn of the user, up to the start of the turn of the model.

    The current date of templates is always `TEMPLATE_DATE`. The thinking modes of templates are turned off, because the answer
    follows immediately in training and in evaluation.

    Args:
        tokenizer: tokenizer of the base model, with a chat template.
        prompt: instruction and input.

    Returns:
        The context of the answer.

    Raises:
        UsageError: the template fails.
    """
    turn = [{"role": "user", "content": prompt}]
    try:
        with _stopped_clock():
            text = tokenizer.apply_chat_template(
                turn, tokenize=False, add_generation_prompt=True, enable_thinking=False, thinking=False
            )
    except Exception as error:  # a template is a program and can raise any error
        raise UsageError(
            f"the chat template of the base model fails for one user turn ({error}). Use --format plain, or fix the template."
        ) from error
    return str(text)


def check_template(tokenizer: Any) -> None:
    """Check that the output of a chat template contains the prompt and is the same for every call.

    Args:
        tokenizer: tokenizer of the base model, with a chat template.

    Raises:
        UsageError: the template fails, omits or changes the prompt, or renders one prompt in several ways.
    """
    for probe in _PROBES:
        texts = {chat_context(tokenizer, probe) for _ in range(_REPEATS)}
        if len(texts) > 1:
            raise UsageError(
                "the chat template of the base model renders one prompt in several ways, so that two runs would not use the "
                "same text. Use --format plain, or fix the template."
            )
        if probe not in texts.pop():
            raise UsageError(
                "the chat template of the base model omits or changes the user turn. Use --format plain, or fix the template."
            )


class _Stopped(datetime):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return cls.fromisoformat(f"{TEMPLATE_DATE}T12:00:00").replace(tzinfo=tz)

    def strftime(self, format: str) -> str:
        return super().strftime(format.replace("%s", _SECONDS))


@contextmanager
def _stopped_clock() -> Iterator[None]:
    """Make transformers pass `TEMPLATE_DATE` to templates, because it has no argument for the date."""
    from transformers.utils import chat_template_utils as module

    before = module.datetime
    module.datetime = _Stopped
    try:
        yield
    finally:
        module.datetime = before
