"""Normalisers of multiple-choice questions with lettered options."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from cme.data.example import Content, Dropped, Row
from cme.data.normalise.fields import BadValueError, is_empty, text
from cme.suite import DatasetSpec

__all__ = ["LETTERS", "arc", "commonsense_qa", "lettered", "medmcqa", "mmlu", "option_texts", "sciq", "winogrande"]

LETTERS = "ABCDEFGHIJ"


def lettered(
    question: str, options: Sequence[str], gold: int, *, passage: str = "", match: str = ""
) -> Content | Dropped:
    """Return the content of a question with one option per line (``A. …``). The answer is the letter.

    Options are identified by their position. A row is dropped if another option equals the correct one, because the answer would
    be ambiguous. Wrong options may be equal. Options that differ only in case are distinct, as
    the genotypes Tt and tt are.

    Args:
        question: the question, which is never cut.
        options: texts of the options, in order.
        gold: index of the correct option.
        passage: text above the question, which is cut if it is too long; "" for none.
        match: match text, if it is not the question.
    """
    options = [_one_line(option) for option in options]
    if is_empty(question, *options):
        return Dropped("empty text")
    if options.count(options[gold]) > 1:
        return Dropped("right option twice")
    letters = tuple(LETTERS[: len(options)])
    lines = "\n".join(f"{letter}. {option}" for letter, option in zip(letters, options, strict=True))
    head = "Passage: "
    stem = f"{head}{passage}\nQuestion: {question}" if passage else question
    return Content(
        input=f"{stem}\n{lines}",
        output=letters[gold],
        match=(match or question, *sorted(options)),
        choices=letters,
        gold=gold,
        long=(len(head), len(head) + len(passage)) if passage else None,
    )


def option_texts(row: Row, column: str) -> list[str]:
    """Return a column with a list of options. Null options become "".

    Raises:
        BadValueError: the value is not a list, or has too few or too many options.
    """
    options = row[column]
    if not isinstance(options, list) or not 2 <= len(options) <= len(LETTERS):
        raise BadValueError(column, options, f"2 to {len(LETTERS)} options")
    return [option or "" for option in options]


def winogrande(row: Row, spec: DatasetSpec) -> Content | Dropped:
    """Normalise a row of WinoGrande: which of two options fills the blank ``_``?

    Sentences are written as twins, which differ in a word and thus in the answer. Twins have the same two options, sometimes in
    another order or case. The options identify the cluster.

    Args:
        row: columns sentence (str, with one ``_``), option1, option2 (str), answer ("1" or "2" as text; "" in the
            unlabelled test split).
        spec: the dataset.

    Source: https://arxiv.org/abs/1907.10641.
    """
    answer = text(row, "answer")
    if not answer:
        return Dropped("no label")
    if answer not in ("1", "2"):
        raise BadValueError("answer", answer, "'1' or '2'")
    sentence = text(row, "sentence")
    if sentence and sentence.count("_") != 1:
        return Dropped("not one blank")
    options = [text(row, "option1"), text(row, "option2")]
    content = lettered(sentence, options, int(answer) - 1)
    if isinstance(content, Dropped):
        return content
    return replace(content, cluster=tuple(sorted(_one_line(option).casefold() for option in options)))


def commonsense_qa(row: Row, spec: DatasetSpec) -> Content | Dropped:
    """Normalise a row of CommonsenseQA. The column ``question_concept`` hints at the answer and is never read.

    Args:
        row: columns question (str), choices ({label: [...], text: [...]}, five each), answerKey (one of the labels; ""
            in the unlabelled test split).
        spec: the dataset.

    Source: https://arxiv.org/abs/1811.00937.
    """
    return _labelled(row)


def arc(row: Row, spec: DatasetSpec) -> Content | Dropped:
    """Normalise a row of the AI2 Reasoning Challenge.

    Args:
        row: columns question (str), choices ({text: [...], label: [...]}), answerKey (one of the labels; letters, or digits on
            a few rows). Rows have three to five options.
        spec: the dataset.

    Source: https://arxiv.org/abs/1803.05457.
    """
    return _labelled(row)


def sciq(row: Row, spec: DatasetSpec) -> Content | Dropped:
    """Normalise a row of SciQ, open-book as in lm-eval: the prompt contains the supporting paragraph if there is one.

    The options have no order in the data. They are sorted by a hash of question and option, so that the correct answer can have
    any position, which is the same for equal rows. Options that differ only in case are equal, because some distractors repeat
    the correct answer with a capital letter.

    Args:
        row: columns question, correct_answer, distractor1, distractor2, distractor3, support (str; support may be "").
        spec: the dataset.

    Source: https://arxiv.org/abs/1707.06209.
    """
    question, right = text(row, "question"), _one_line(text(row, "correct_answer"))
    options = [right, *(_one_line(text(row, f"distractor{k}")) for k in (1, 2, 3))]
    if [option.casefold() for option in options].count(right.casefold()) > 1:
        return Dropped("right option twice")
    options.sort(key=lambda option: hashlib.sha256(f"{question}\n{option}".encode("utf-8", "surrogatepass")).digest())
    return lettered(question, options, options.index(right), passage=text(row, "support"))


def mmlu(row: Row, spec: DatasetSpec) -> Content | Dropped:
    """Normalise a row of MMLU. Nothing is cut, because passages can be anywhere in the question.

    Args:
        row: columns question (str), choices (list of str, four), answer (0 to 3).
        spec: the dataset.

    Source: https://arxiv.org/abs/2009.03300.
    """
    return _indexed(row, "answer", option_texts(row, "choices"))


def medmcqa(row: Row, spec: DatasetSpec) -> Content | Dropped:
    """Normalise a row of MedMCQA. The column ``exp`` explains the answer and is never read. All rows have one correct option.

    Args:
        row: columns question, opa, opb, opc, opd (str), cop (0 to 3 on the hub, where the raw release has 1 to 4; -1 in the
            unlabelled test split).
        spec: the dataset.

    Source: https://arxiv.org/abs/2203.14371.
    """
    return _indexed(row, "cop", [text(row, f"op{letter}") for letter in "abcd"])


def _labelled(row: Row) -> Content | Dropped:
    """Return the content of a row with labelled options, in which ``answerKey`` is the label of the correct one."""
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


def _indexed(row: Row, column: str, options: Sequence[str]) -> Content | Dropped:
    """Return the content of a row with the index of the correct option in a column. Rows with -1 or null have no label."""
    gold: Any = row[column]
    if gold is None or gold == -1:
        return Dropped("no label")
    if isinstance(gold, bool) or not isinstance(gold, int) or not 0 <= gold < len(options):
        raise BadValueError(column, gold, f"0 to {len(options) - 1}, counted from 0")
    return lettered(text(row, "question"), options, gold)


def _one_line(option: str) -> str:
    return " ".join(option.split())
