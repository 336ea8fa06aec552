"""Check that a tokenizer supports a prompt format."""

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
_MOST_OPTIONS = {"arc": 5}
"""Most options of a row, for datasets with rows that have more than `DatasetSpec.options`."""


def check_format(name: str, tokenizer: Any = None, datasets: Collection[str] = ()) -> None:
    """Check that a prompt format exists and that the tokenizer supports it.

    Args:
        name: name of the format.
        tokenizer: tokenizer of the base model, for ``chat`` and ``teamlora``.
        datasets: names of the datasets whose answers are checked.

    Raises:
        UsageError: the format does not exist, the tokenizer lacks a chat template or an end-of-text token, or it cannot encode
            an answer. The message names the answer and its dataset.
    """
    if name not in FORMATS:
        raise unknown("prompt format", name, FORMATS)
    if tokenizer is None and name != "plain":
        raise UsageError(
            f"prompt format {name!r} needs the tokenizer of the model. In plain lm_eval, name the model with pretrained=…."
        )
    if name == "chat":
        if not getattr(tokenizer, "chat_template", None):
            raise UsageError(
                "prompt format 'chat' needs a base model with a chat template, and this one has none. Use --format plain."
            )
        check_template(tokenizer)
    if name == "teamlora" and not tokenizer.eos_token:
        raise UsageError(
            "prompt format 'teamlora' needs a tokenizer with an end-of-text token, and this one has none. Use --format plain."
        )
    if tokenizer is not None:
        for dataset_name in datasets:
            _check_answers(dataset_name, name, tokenizer)


def _check_answers(name: str, prompt_format: str, tokenizer: Any) -> None:
    context, answers = render_text(_PROMPT, _answers(name), prompt_format, tokenizer)
    seen: dict[tuple[int, ...], str] = {}
    for answer in answers:
        try:
            tokens = tuple(encode_pair(tokenizer, context, answer)[1])
        except AnswerError as error:
            raise UsageError(f"{name}: {error}. Use another --format, or another base model.") from error
        other = seen.setdefault(tokens, answer)
        if other != answer:
            raise UsageError(
                f"{name}: the tokenizer of the base model encodes the options {other!r} and {answer!r} with the same tokens, "
                "so that no model can distinguish them. Use another base model, or leave the dataset out."
            )


def _answers(name: str) -> Iterable[str]:
    """Return possible answers of a dataset: its label words, its letters, or a text."""
    spec = dataset(name)
    if spec.kind != "choice":
        return [_TEXT, *filter(None, [spec.unanswerable])]
    return spec.choices or [chr(ord("A") + number) for number in range(_MOST_OPTIONS.get(name, spec.options))]
