"""Normalisers of closed-book questions with several accepted answers."""

import re
from collections.abc import Sequence

from cme.data.example import Content, Dropped, Row
from cme.data.normalise.fields import BadValueError, is_empty, text
from cme.suite import DatasetSpec

__all__ = ["open_qa", "trivia_qa"]

_UNKNOWN = "<unk>"  # the value in the unlabelled test split of TriviaQA
_CSV_FIELD = re.compile(r'"((?:[^"]|"")*)"?')


def open_qa(row: Row, spec: DatasetSpec) -> Content | Dropped:
    """Normalise a row of Natural Questions (open). The first accepted answer is for training, and all are accepted in scoring.

    Args:
        row: columns question (str, lower-case, without a question mark), answer (list of str, at least one).
        spec: the dataset.

    Source: https://arxiv.org/abs/1906.00300.
    """
    answers = row["answer"]
    if not isinstance(answers, list):
        raise BadValueError("answer", answers, "a list of accepted answers")
    question = text(row, "question")
    return _closed_book(question if question.endswith("?") or not question else f"{question}?", answers)


def trivia_qa(row: Row, spec: DatasetSpec) -> Content | Dropped:
    """Normalise a row of TriviaQA without context. The value is for training, and it and all aliases are accepted in scoring.

    Args:
        row: columns question (str), answer ({value: str, aliases: list of str, …}; ``<unk>`` and no aliases in the unlabelled
            test split).
        spec: the dataset.

    Source: https://arxiv.org/abs/1705.03551.
    """
    answer = row["answer"]
    if not isinstance(answer, dict) or not isinstance(answer.get("aliases"), list):
        raise BadValueError("answer", answer, "{value: ..., aliases: [...]}")
    question, value = text(row, "question"), text(answer, "value")
    others = [alias for alias in answer["aliases"] if alias and alias != value]
    answers = [] if value in ("", _UNKNOWN) else [value, *others]
    return _closed_book(_unescaped(question), [_unescaped(words) for words in answers])


def _closed_book(question: str, answers: Sequence[str | None]) -> Content | Dropped:
    accepted = tuple(" ".join(answer.split()) for answer in answers if answer and answer.strip())
    if is_empty(question):
        return Dropped("empty text")
    if not accepted:
        return Dropped("no answer")
    return Content(input=f"Question: {question}", output=accepted[0], match=(question,), answers=accepted)


def _unescaped(field: str) -> str:
    """Unquote a text that is a quoted CSV field, such as ``"so ""to"" speak"``. Return other texts unchanged.

    Some answers end in the middle of the field, so the closing quote can be missing. A text that is one quotation looks the same
    and loses its quotes, which does not change its meaning.
    """
    quoted = _CSV_FIELD.fullmatch(field)
    return quoted[1].replace('""', '"').strip() if quoted else field
