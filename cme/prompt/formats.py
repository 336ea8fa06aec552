"""The three prompt formats. Texts are bitwise identical in training, ``cme eval`` and plain lm_eval.

| format | context | answer | end |
| --- | --- | --- | --- |
| ``plain`` | prompt, blank line, ``Answer:`` | space, answer | end of text |
| ``chat`` | prompt as the user turn of the chat template | answer | end of text |
| ``teamlora`` | prompt, end of text, as in the code of the authors | answer | end of text |
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cme.data.example import Example
from cme.errors import unknown
from cme.prompt.template import chat_context

__all__ = ["FORMATS", "Rendered", "prompt_text", "render", "render_text"]

FORMATS = ("plain", "chat", "teamlora")


@dataclass(frozen=True)
class Rendered:
    """An example as text.

    Attributes:
        context: everything before the answer.
        target: the answer as it follows the context, with a leading space if the format has one.
        continuations: all options in the same form; empty for free-text answers.
    """

    context: str
    target: str
    continuations: tuple[str, ...]


def prompt_text(example: Example) -> str:
    """Return the instruction, followed by a line break and the input if there is one."""
    return f"{example.instruction}\n{example.input}" if example.input else example.instruction


def render(example: Example, name: str = "plain", tokenizer: Any = None) -> Rendered:
    """Render an example.

    Args:
        example: the example with its long text already cut.
        name: one of `FORMATS`.
        tokenizer: tokenizer of the base model, for ``chat`` (chat template) and ``teamlora`` (end-of-text token).

    Returns:
        The texts. Training adds the end-of-text token after the target.
    """
    context, answers = render_text(prompt_text(example), [example.output, *(example.choices or ())], name, tokenizer)
    return Rendered(context, answers[0], answers[1:])


def render_text(
    prompt: str, answers: Iterable[str], name: str = "plain", tokenizer: Any = None
) -> tuple[str, tuple[str, ...]]:
    """Render a prompt and its answers.

    Args:
        prompt: instruction and input.
        answers: the answers.
        name: one of `FORMATS`.
        tokenizer: see `render`.

    Returns:
        The context, and every answer as it follows the context.
    """
    if name == "plain":
        context, space = f"{prompt}\n\nAnswer:", " "
    elif name == "chat":
        context, space = chat_context(tokenizer, prompt), ""
    elif name == "teamlora":
        context, space = prompt + tokenizer.eos_token, ""
    else:
        raise unknown("prompt format", name, FORMATS)
    return context, tuple(space + answer for answer in answers)
