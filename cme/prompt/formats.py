"""The three layouts of a prompt, the same byte for byte in training, ``cme eval`` and plain lm_eval.

| format | context | answer | end |
| --- | --- | --- | --- |
| ``plain`` | prompt, blank line, ``Answer:`` | space, answer | end of text |
| ``chat`` | prompt as the user turn of the model's own template | answer | end of text |
| ``teamlora`` | prompt, end of text (the authors' layout) | answer | end of text |
"""

from dataclasses import dataclass
from typing import Any

from cme.data.example import Example
from cme.errors import UsageError, unknown

__all__ = ["FORMATS", "Rendered", "check_format", "prompt_text", "render"]

FORMATS = ("plain", "chat", "teamlora")


@dataclass(frozen=True)
class Rendered:
    """An example as text.

    Attributes:
        context: everything before the answer.
        target: the answer as it follows the context, with its leading space where the format has one.
        continuations: every option in the same form; empty for free text.
    """

    context: str
    target: str
    continuations: tuple[str, ...]


def prompt_text(example: Example) -> str:
    """Instruction, a line break, and the input if there is one."""
    return f"{example.instruction}\n{example.input}" if example.input else example.instruction


def check_format(name: str, tokenizer: Any = None) -> None:
    """Check that a format exists and that the tokenizer can carry it.

    Args:
        name: the format.
        tokenizer: the base model's tokenizer, for ``chat`` and ``teamlora``.

    Raises:
        UsageError: no such format, or the tokenizer lacks a chat template or an end-of-text token.
    """
    if name not in FORMATS:
        raise unknown("prompt format", name, FORMATS)
    if name == "plain":
        return
    if tokenizer is None:
        raise UsageError(
            f"prompt format {name!r} needs the model's tokenizer. In plain lm_eval give the model by pretrained=…."
        )
    if name == "chat" and not getattr(tokenizer, "chat_template", None):
        raise UsageError(
            "prompt format 'chat' needs a base model with a chat template; this one has none. Use 'plain'."
        )
    if name == "teamlora" and not tokenizer.eos_token:
        raise UsageError(
            "prompt format 'teamlora' needs a tokenizer with an end-of-text token; this one has none. Use 'plain'."
        )


def render(example: Example, name: str = "plain", tokenizer: Any = None) -> Rendered:
    """Render an example.

    Args:
        example: the example; long texts have been cut already.
        name: one of `FORMATS`.
        tokenizer: the base model's tokenizer, for ``chat`` (its template) and ``teamlora`` (its end-of-text token).

    Returns:
        The texts. Training adds the end-of-text token after the target.
    """
    prompt = prompt_text(example)
    if name == "plain":
        context, space = f"{prompt}\n\nAnswer:", " "
    elif name == "chat":
        turn = [{"role": "user", "content": prompt}]
        context, space = tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True), ""
    elif name == "teamlora":
        context, space = prompt + tokenizer.eos_token, ""
    else:
        raise unknown("prompt format", name, FORMATS)
    return Rendered(context, space + example.output, tuple(space + choice for choice in example.choices or ()))
