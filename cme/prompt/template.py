"""The prompt format ``chat``: the base model's own chat template, rendered in the same way at any time and in any place."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, tzinfo
from typing import Any, Self

from cme.errors import UsageError

__all__ = ["TEMPLATE_DATE", "chat_context", "check_template"]

TEMPLATE_DATE = "2024-07-26"
"""The date that every chat template is given. It is the one that Llama 3's templates name where they are given none."""

_SECONDS = "1721995200"  # %s would be computed in the machine's time zone

_PROBES = ("What is the first letter?", "Is water wet?\nAnswer with one word.")
_REPEATS = 8


def chat_context(tokenizer: Any, prompt: str) -> str:
    """Render a prompt as the user's turn, up to where the model's turn begins.

    A template's clock stands still at `TEMPLATE_DATE`. Modes in which a model thinks before it answers are switched off, by the
    names that templates have for them, because the answer follows at once in training and in evaluation.

    Args:
        tokenizer: the base model's tokenizer, with a chat template.
        prompt: instruction and input.

    Raises:
        UsageError: the template fails.
    """
    turn = [{"role": "user", "content": prompt}]
    try:
        with _stopped_clock():
            text = tokenizer.apply_chat_template(
                turn, tokenize=False, add_generation_prompt=True, enable_thinking=False, thinking=False
            )
    except Exception as error:  # a template is a program of its own: it may fail in any way
        raise UsageError(
            f"the base's chat template fails for a single user turn ({error}). Use --format plain, or fix the template."
        ) from error
    return str(text)


def check_template(tokenizer: Any) -> None:
    """Check that a chat template shows the prompt, and shows it in the same way each time.

    Raises:
        UsageError: it fails, leaves the prompt out, or renders one prompt in several ways.
    """
    for probe in _PROBES:
        texts = {chat_context(tokenizer, probe) for _ in range(_REPEATS)}
        if len(texts) > 1:
            raise UsageError(
                "the base's chat template renders one prompt in several ways, so two runs would not see the same text. "
                "Use --format plain, or fix the template."
            )
        if probe not in texts.pop():
            raise UsageError(
                "the base's chat template leaves out or changes the user's turn. Use --format plain, or fix the template."
            )


class _Stopped(datetime):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return cls.fromisoformat(f"{TEMPLATE_DATE}T12:00:00").replace(tzinfo=tz)

    def strftime(self, format: str) -> str:
        return super().strftime(format.replace("%s", _SECONDS))


@contextmanager
def _stopped_clock() -> Iterator[None]:
    """Let transformers tell templates `TEMPLATE_DATE`; it takes no clock as an argument."""
    from transformers.utils import chat_template_utils as module

    before = module.datetime
    module.datetime = _Stopped
    try:
        yield
    finally:
        module.datetime = before
