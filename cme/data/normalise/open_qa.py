"""Closed-book questions with several accepted answers."""

from cme.data.example import Content, Dropped, Row
from cme.data.normalise.fields import BadValueError, is_empty, text
from cme.suite import DatasetSpec

__all__ = ["open_qa"]


def open_qa(row: Row, spec: DatasetSpec) -> Content | Dropped:
    """Natural Questions (open) → Content; the first accepted answer is trained on, all are scored.

    Args:
        row: columns question (str, lower-case, without a question mark), answer (list of str, at least one).
        spec: the dataset.

    Source: https://arxiv.org/abs/1906.00300.
    """
    answers = row["answer"]
    if not isinstance(answers, list):
        raise BadValueError("answer", answers, "a list of accepted answers")
    answers = tuple(" ".join(answer.split()) for answer in answers if answer and answer.strip())
    question = text(row, "question")
    if is_empty(question):
        return Dropped("empty text")
    if not answers:
        return Dropped("no answer")
    question = question if question.endswith("?") else f"{question}?"
    return Content(input=f"Question: {question}", output=answers[0], match=(question,), answers=answers)
