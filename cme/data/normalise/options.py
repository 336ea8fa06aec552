"""Multiple choice: a question and lettered options."""

from collections.abc import Sequence

from cme.data.example import Content, Dropped, Row
from cme.data.normalise.fields import BadValueError, is_empty, text
from cme.suite import DatasetSpec

__all__ = ["LETTERS", "arc", "lettered"]

LETTERS = "ABCDEFGHIJ"


def lettered(question: str, options: Sequence[str], gold: int) -> Content | Dropped:
    """A question with its options on lines ``A. …``; the answer is the letter.

    Options are told apart by their position, so two equal options are dropped: no answer could be right alone.

    Args:
        question: the stem.
        options: the options' texts, in order.
        gold: index of the right option.
    """
    options = [" ".join(option.split()) for option in options]
    if is_empty(question, *options):
        return Dropped("empty text")
    if len(set(options)) < len(options):
        return Dropped("equal options")
    letters = tuple(LETTERS[: len(options)])
    lines = "\n".join(f"{letter}. {option}" for letter, option in zip(letters, options, strict=True))
    return Content(
        input=f"{question}\n{lines}",
        output=letters[gold],
        match=(question, *sorted(options)),
        choices=letters,
        gold=gold,
    )


def arc(row: Row, spec: DatasetSpec) -> Content | Dropped:
    """AI2 Reasoning Challenge → Content.

    Args:
        row: columns question (str), choices ({text: [...], label: [...]}), answerKey (one of the labels; letters, or digits on
            a few rows). Rows have three to five options.
        spec: the dataset.

    Source: https://arxiv.org/abs/1803.05457.
    """
    choices = row["choices"] or {}
    labels, options = choices.get("label") or [], choices.get("text") or []
    if not 2 <= len(options) <= len(LETTERS) or len(labels) != len(options):
        raise BadValueError("choices", choices, f"2 to {len(LETTERS)} options with one label each")
    key = text(row, "answerKey")
    if not key:
        return Dropped("no label")
    if labels.count(key) != 1:
        raise BadValueError("answerKey", key, f"one of the row's labels {', '.join(map(str, labels))}")
    return lettered(text(row, "question"), [option or "" for option in options], labels.index(key))
