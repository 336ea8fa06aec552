"""Pairs of questions or sentences that may mean the same."""

from cme.data.example import Content, Dropped, Row
from cme.data.normalise.fields import is_empty, label, text
from cme.suite import DatasetSpec

__all__ = ["qqp"]


def qqp(row: Row, spec: DatasetSpec) -> Content | Dropped:
    """Quora Question Pairs → Content.

    Args:
        row: columns question1, question2 (str), label (0 = not duplicate, 1 = duplicate; -1 in the unlabelled test split).
        spec: the dataset.

    Source: GLUE, https://arxiv.org/abs/1804.07461.
    """
    return _pair(row, spec, columns=("question1", "question2"), names=("Question 1", "Question 2"))


def _pair(row: Row, spec: DatasetSpec, *, columns: tuple[str, str], names: tuple[str, str]) -> Content | Dropped:
    gold = label(row, spec)
    if isinstance(gold, Dropped):
        return gold
    first, second = text(row, columns[0]), text(row, columns[1])
    if is_empty(first, second):
        return Dropped("empty text")
    choices = spec.choices or ()
    return Content(
        input=f"{names[0]}: {first}\n{names[1]}: {second}",
        output=choices[gold],
        match=tuple(sorted((first, second))),
        choices=choices,
        gold=gold,
    )
