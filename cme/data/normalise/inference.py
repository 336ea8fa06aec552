"""Premise and hypothesis."""

from cme.data.example import Content, Dropped, Row
from cme.data.normalise.fields import is_empty, label, text
from cme.suite import DatasetSpec

__all__ = ["nli"]


def nli(row: Row, spec: DatasetSpec) -> Content | Dropped:
    """Three-way natural language inference (ANLI) → Content.

    Args:
        row: columns premise, hypothesis (str), label (0 = entailment, 1 = neutral, 2 = contradiction). ANLI's ``reason``
            gives the label away and is never read.
        spec: the dataset.

    Source: https://arxiv.org/abs/1910.14599.
    """
    gold = label(row, spec)
    if isinstance(gold, Dropped):
        return gold
    premise, hypothesis = text(row, "premise"), text(row, "hypothesis")
    if is_empty(premise, hypothesis):
        return Dropped("empty text")
    choices = spec.choices or ()
    head = "Premise: "
    return Content(
        input=f"{head}{premise}\nHypothesis: {hypothesis}",
        output=choices[gold],
        match=(premise, hypothesis),
        choices=choices,
        gold=gold,
        long=(len(head), len(head) + len(premise)),
    )
