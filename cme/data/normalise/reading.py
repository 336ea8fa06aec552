"""Normalisers of questions about a passage."""

from cme.data.example import Content, Dropped, Row
from cme.data.normalise.fields import BadValueError, is_empty, text
from cme.data.normalise.options import LETTERS, lettered, option_texts
from cme.suite import DatasetSpec

__all__ = ["race", "squad_v2"]


def race(row: Row, spec: DatasetSpec) -> Content | Dropped:
    """Normalise a row of RACE. Questions that are sentences with a gap keep their ``_``.

    The match text is the passage followed by the question, because the training rows of MMLU contain RACE rows in this form.

    Args:
        row: columns article, question (str), options (list of str, four), answer (a letter).
        spec: the dataset.

    Source: https://arxiv.org/abs/1704.04683.
    """
    options, answer = option_texts(row, "options"), text(row, "answer")
    if not answer:
        return Dropped("no label")
    letters = list(LETTERS[: len(options)])
    if answer not in letters:
        raise BadValueError("answer", answer, f"one of the letters {', '.join(letters)}")
    article, question = text(row, "article"), text(row, "question")
    if is_empty(article, question):
        return Dropped("empty text")
    gold = letters.index(answer)
    return lettered(question, options, gold, passage=article, match=f"{article} {question}")


def squad_v2(row: Row, spec: DatasetSpec) -> Content | Dropped:
    """Normalise a row of SQuAD 2.0.

    A question without an answer has the output ``spec.unanswerable``, and its accepted answer is empty.

    Args:
        row: columns context, question (str), answers ({text: [...], answer_start: [...]}; empty lists if there is no
            answer).
        spec: the dataset.

    Source: https://arxiv.org/abs/1806.03822.
    """
    answers = row["answers"]
    if not isinstance(answers, dict) or not isinstance(answers.get("text"), list):
        raise BadValueError("answers", answers, "{text: [...], answer_start: [...]}")
    passage, question = text(row, "context"), text(row, "question")
    if is_empty(passage, question):
        return Dropped("empty text")
    golds = tuple(" ".join(answer.split()) for answer in answers["text"] if answer and answer.strip())
    if answers["text"] and not golds:
        return Dropped("no answer")
    head = "Passage: "
    return Content(
        input=f"{head}{passage}\nQuestion: {question}",
        output=golds[0] if golds else spec.unanswerable or "",
        match=(passage, question),
        answers=golds or ("",),
        long=(len(head), len(head) + len(passage)),
    )
