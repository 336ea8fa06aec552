"""Normalisers of word problems."""

import re

from cme.data.example import Content, Dropped, Row
from cme.data.normalise.fields import BadValueError, is_empty, text
from cme.data.normalise.options import LETTERS, lettered, option_texts
from cme.suite import DatasetSpec
from cme.suite.metrics import final_number

__all__ = ["aqua_rat", "gsm8k", "svamp"]

_CALCULATOR = re.compile(r"<<[^<>]*>>")
_ZERO_DECIMALS = re.compile(r"\.0+$")
_SENTENCE_ENDS = (".", "!", "?", ":", ";", ",")


def gsm8k(row: Row, spec: DatasetSpec) -> Content | Dropped:
    """Normalise a row of GSM8K. The output is the worked solution without the marks of the calculator.

    Args:
        row: columns question (str), answer (str: the solution with marks such as ``<<3+4=7>>``, and a last line such as
            ``#### 7``).
        spec: the dataset.

    Source: https://arxiv.org/abs/2110.14168.
    """
    question, solution = text(row, "question"), text(row, "answer")
    if is_empty(question):
        return Dropped("empty text")
    _, mark, number = solution.rpartition("####")
    if not mark or not number.strip():
        return Dropped("no answer")
    final = final_number(f"####{number}")
    if final is None or final.value is None or not final.marked:
        raise BadValueError("answer", f"…####{number}", "a number after ####")
    lines = [" ".join(line.split()) for line in _CALCULATOR.sub("", solution).split("\n")]
    return Content(
        input=f"Question: {question}",
        output="\n".join(line for line in lines if line),
        match=(question,),
        answers=(number.strip(),),
    )


def svamp(row: Row, spec: DatasetSpec) -> Content | Dropped:
    """Normalise a row of SVAMP. The answers are floats as texts, such as ``67.0``.

    Args:
        row: columns Body (str, sometimes without a full stop), Question (str), Answer (str). ``Equation`` and ``Type`` are
            never read.
        spec: the dataset.

    Source: https://arxiv.org/abs/2103.07191.
    """
    body, question, answer = text(row, "Body"), text(row, "Question"), text(row, "Answer")
    if is_empty(question):
        return Dropped("empty text")
    if not answer:
        return Dropped("no answer")
    final = final_number(answer)
    if final is None or final.value is None:
        raise BadValueError("Answer", answer, "a number")
    if body and not body.endswith(_SENTENCE_ENDS):
        body += "."
    problem = f"{body} {question}".strip()
    number = _ZERO_DECIMALS.sub("", answer)
    return Content(input=f"Question: {problem}", output=f"#### {number}", match=(problem,), answers=(number,))


def aqua_rat(row: Row, spec: DatasetSpec) -> Content | Dropped:
    """Normalise a row of AQuA-RAT. The column ``rationale`` explains the answer and is never read.

    Args:
        row: columns question (str), options (list of five str, such as ``A)21``), correct (``A`` to ``E``).
        spec: the dataset.

    Source: https://arxiv.org/abs/1705.04146.
    """
    options = option_texts(row, "options")
    correct = text(row, "correct")
    if not correct:
        return Dropped("no label")
    letters = LETTERS[: len(options)]
    if correct not in letters or len(correct) != 1:
        raise BadValueError("correct", correct, f"one of the letters {', '.join(letters)}")
    bare = [_without_letter(option, letter) for option, letter in zip(options, letters, strict=True)]
    return lettered(text(row, "question"), bare, letters.index(correct))


def _without_letter(option: str, letter: str) -> str:
    """Remove the letter of an option from its text, as in ``A)21``. A text without it is not changed."""
    return re.sub(rf"^\s*{letter}\s*\)\s*", "", option)
