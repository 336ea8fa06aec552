"""Normalisers of pairs of questions or sentences that may have the same meaning."""

import re

from cme.data.example import Content, Dropped, Row
from cme.data.normalise.fields import is_empty, label, text
from cme.suite import DatasetSpec
from cme.suite.repairs import restore_quotes

__all__ = ["paws", "qqp"]

_TREEBANK_QUOTES = re.compile(r"``|''")


def qqp(row: Row, spec: DatasetSpec) -> Content | Dropped:
    """Normalise a row of Quora Question Pairs.

    Args:
        row: columns question1, question2 (str), label (0 = not duplicate, 1 = duplicate; -1 in the unlabelled test split).
        spec: the dataset.

    Source: GLUE, https://arxiv.org/abs/1804.07461.
    """
    columns = ("question1", "question2")
    clean = {column: restore_quotes(text(row, column)) for column in columns}
    return _pair(row | clean, spec, columns=columns, names=("Question 1", "Question 2"))


def paws(row: Row, spec: DatasetSpec) -> Content | Dropped:
    """Normalise a row of PAWS-Wiki. Quotes ``like this'' become straight quotes, and multiple spaces become one.

    Both marks become the same, because they are often mixed up. Other traces of tokenisation, such as spaces before commas,
    remain, because they cannot be removed reliably.

    Args:
        row: columns sentence1, sentence2 (str), label (0 = another meaning, 1 = paraphrase).
        spec: the dataset.

    Source: https://arxiv.org/abs/1904.01130.
    """
    columns = ("sentence1", "sentence2")
    clean = {column: " ".join(_TREEBANK_QUOTES.sub('"', text(row, column)).split()) for column in columns}
    return _pair(row | clean, spec, columns=columns, names=("Sentence 1", "Sentence 2"))


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
