"""Normalisers of datasets about whether a text follows from another."""

from cme.data.example import Content, Dropped, Row
from cme.data.normalise.fields import is_empty, label, text
from cme.suite import DatasetSpec
from cme.suite.repairs import restore_line_breaks

__all__ = ["nli", "qnli", "rte"]


def nli(row: Row, spec: DatasetSpec) -> Content | Dropped:
    """Normalise a row of three-way natural language inference (ANLI, MNLI).

    Args:
        row: columns premise, hypothesis (str), label (0 = entailment, 1 = neutral, 2 = contradiction). ANLI's column ``reason``
            reveals the label and is never read.
        spec: the dataset.

    Source: https://arxiv.org/abs/1910.14599, https://arxiv.org/abs/1704.05426.
    """
    return _inference(row, spec, columns=("premise", "hypothesis"), names=("Premise", "Hypothesis"))


def rte(row: Row, spec: DatasetSpec) -> Content | Dropped:
    """Normalise a row of Recognising Textual Entailment.

    Args:
        row: columns sentence1 (the text, often several sentences), sentence2 (the hypothesis), label (0 = entailment, 1 = not
            entailment; -1 in the unlabelled test split).
        spec: the dataset.

    Source: GLUE, https://arxiv.org/abs/1804.07461.
    """
    return _inference(row, spec, columns=("sentence1", "sentence2"), names=("Text", "Hypothesis"))


def qnli(row: Row, spec: DatasetSpec) -> Content | Dropped:
    """Normalise a row of Question NLI, which is made from SQuAD: does the sentence contain the answer to the question?

    Args:
        row: columns question, sentence (str), label (0 = entailment, which means that it does; 1 = not entailment; -1 in the
            unlabelled test split).
        spec: the dataset.

    Source: GLUE, https://arxiv.org/abs/1804.07461.
    """
    return _inference(row, spec, columns=("question", "sentence"), names=("Question", "Sentence"), long=1)


def _inference(
    row: Row, spec: DatasetSpec, *, columns: tuple[str, str], names: tuple[str, str], long: int = 0
) -> Content | Dropped:
    """Return the content of two texts in a fixed order. The text with index ``long`` may be cut."""
    gold = label(row, spec)
    if isinstance(gold, Dropped):
        return gold
    texts = text(row, columns[0]), text(row, columns[1])
    if spec.name == "anli":
        texts = restore_line_breaks(texts[0]), restore_line_breaks(texts[1])
    if is_empty(*texts):
        return Dropped("empty text")
    choices = spec.choices or ()
    lines = [f"{name}: {words}" for name, words in zip(names, texts, strict=True)]
    end = len("\n".join(lines[: long + 1]))
    return Content(
        input="\n".join(lines),
        output=choices[gold],
        match=texts,
        choices=choices,
        gold=gold,
        long=(end - len(texts[long]), end),
    )
