"""Whether a tokenizer can carry a prompt format: checked before any work."""

from collections.abc import Collection, Iterable
from typing import Any

from cme.errors import UsageError, unknown
from cme.prompt.encode import AnswerError, encode_pair
from cme.prompt.formats import FORMATS, render_text
from cme.prompt.template import check_template
from cme.suite import dataset

__all__ = ["check_format"]

_PROMPT = "Answer the question.\nQuestion: Is it so?"
_TEXT = "the old mill"


def check_format(name: str, tokenizer: Any = None, datasets: Collection[str] = ()) -> None:
    """Check that a format exists and that the tokenizer can carry it.

    Args:
        name: the format.
        tokenizer: the base model's tokenizer, for ``chat`` and ``teamlora``.
        datasets: names of the datasets whose answers are to be written in this format.

    Raises:
        UsageError: no such format; or the tokenizer lacks a chat template or an end-of-text token; or it cannot write an answer,
            which the message names together with its dataset.
    """
    if name not in FORMATS:
        raise unknown("prompt format", name, FORMATS)
    if tokenizer is None and name != "plain":
        raise UsageError(
            f"prompt format {name!r} needs the model's tokenizer. In plain lm_eval give the model by pretrained=…."
        )
    if name == "chat":
        if not getattr(tokenizer, "chat_template", None):
            raise UsageError(
                "prompt format 'chat' needs a base model with a chat template; this one has none. Use 'plain'."
            )
        check_template(tokenizer)
    if name == "teamlora" and not tokenizer.eos_token:
        raise UsageError(
            "prompt format 'teamlora' needs a tokenizer with an end-of-text token; this one has none. Use 'plain'."
        )
    if tokenizer is not None:
        for one in datasets:
            _check_answers(one, name, tokenizer)


def _check_answers(name: str, prompt_format: str, tokenizer: Any) -> None:
    context, answers = render_text(_PROMPT, _answers(name), prompt_format, tokenizer)
    seen: dict[tuple[int, ...], str] = {}
    for answer in answers:
        try:
            tokens = tuple(encode_pair(tokenizer, context, answer)[1])
        except AnswerError as error:
            raise UsageError(f"{name}: {error}. Use another --format, or another base.") from error
        other = seen.setdefault(tokens, answer)
        if other != answer:
            raise UsageError(
                f"{name}: the base's tokenizer encodes the options {other!r} and {answer!r} with the same tokens, so that no "
                "model could tell them apart. Use another base, or leave the dataset out."
            )


def _answers(name: str) -> Iterable[str]:
    """Answers of a dataset: its labels, its letters, or a text. Every choice dataset has one or the other for all of its rows."""
    spec = dataset(name)
    if spec.kind != "choice":
        return [_TEXT, *filter(None, [spec.unanswerable])]
    return spec.choices or [chr(ord("A") + number) for number in range(spec.options)]
