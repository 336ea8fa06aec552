"""Extraction of the final number from a worked solution, and comparison of numbers by value.

A solution ends with a marked line, such as ``#### 18``. CME declares one extractor for all datasets whose answer is a number:

1. The text ends after its first complete marked line, or before a line that begins a new question (`solution_end`). What a model
   writes after that answers nothing.
2. The answer is the number of the marked line (`cme.suite.metrics.marked_line`). Without one it is the last number of the text.

The strict reading accepts only the marked number. The flexible reading is the declared one, by which results are ranked.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from cme.suite.metrics.marked_line import MARK, MarkedNumber, marked_number
from cme.suite.metrics.number_text import DIGITS, MINUS, NUMBER, digits_value, number_value

__all__ = ["FinalNumber", "final_number", "number_scores", "same_number", "solution_end"]

_NUMBER = re.compile(
    # A minus after a letter, a digit or a bracket is a hyphen or an operator, as in "x-5" or "10-15".
    rf"(?P<number>(?:(?<![0-9A-Za-z)\]}}.])(?P<minus>[{MINUS}])[$£€¥₹]?"
    # A point after a letter is no decimal point, as in "Rs.5".
    rf"|(?<![0-9A-Za-z.])|(?<=[A-Za-z]\.)){NUMBER})"
)
_LOOSE = re.compile(rf"(?P<plain>{DIGITS})")
_DIGIT = re.compile("[0-9]")
_NEXT_QUESTION = re.compile(r"^[ \t]*(?:Question|Q):", re.MULTILINE)


@dataclass(frozen=True)
class FinalNumber:
    """The final number of a solution.

    Attributes:
        text: the number as it is written.
        value: its value; None for a number of more than 100 characters, which equals no number.
        marked: whether it is the number of a marked line.
    """

    text: str
    value: Fraction | None
    marked: bool


def solution_end(text: str) -> int | None:
    r"""Return the position at which a generated solution is complete, or None if it can continue.

    A solution is complete after its first marked line with a clear number and a line break. It is also complete before a line
    that begins with ``Question:`` or ``Q:``, if a digit precedes that line: a solution may begin with its own question.
    Generation may stop there, because nothing after it is scored.

    Example:
        >>> solution_end("2 + 2 = 4\n#### 4\nQuestion: What")
        17
        >>> solution_end("2 + 2 = 4\n#### 4") is None
        True
        >>> solution_end("#### 1. Add\n2 + 2 = 4\n") is None
        True
    """
    digit = _DIGIT.search(text)
    question = None if digit is None else _NEXT_QUESTION.search(text, digit.end())
    limit = len(text) if question is None else question.start()
    marked = next((end for end, _ in _marked_lines(text, limit) if text[end - 1] == "\n"), None)
    if marked is not None:
        return marked
    return None if question is None else limit


def final_number(text: str) -> FinalNumber | None:
    r"""Extract the final number of a generated solution, or None if it has none.

    Example:
        >>> final_number("So she has $1,000.\n#### 1,000").value
        Fraction(1000, 1)
        >>> final_number("about 3/4 of it").marked
        False
    """
    end = solution_end(text)
    text = text if end is None else text[:end]
    for _, number in _marked_lines(text, len(text)):
        return FinalNumber(number.text, number.value, True)
    if (last := _last(_NUMBER, text)) is not None:
        value = number_value(last)
        return FinalNumber(last["number"], -value if value is not None and last["minus"] else value, False)
    # Digits after letters, such as "x2", are the last resort.
    last = _last(_LOOSE, text)
    return None if last is None else FinalNumber(last[0], digits_value(last[0]), False)


def same_number(left: str, right: str) -> bool:
    """Return whether two texts are the same number: ``1,000`` is ``1000`` and ``$1000.00``.

    Args:
        left: a text that is one number, possibly with a sign, a currency, a percent sign or a full stop.
        right: another one.
    """
    first, second = _value(left), _value(right)
    return first is not None and first == second


def number_scores(text: str, accepted: Sequence[str]) -> dict[str, float]:
    """Score a generated solution.

    Args:
        text: the generated text.
        accepted: the accepted numbers.

    Returns:
        ``flexible_match``: whether the final number equals an accepted one. ``strict_match``: the same, for a marked number only.
        ``marked``: whether the final number is marked.
    """
    number = final_number(text)
    right = float(number is not None and number.value is not None and number.value in map(_value, accepted))
    marked = float(number is not None and number.marked)
    return {"flexible_match": right, "strict_match": right * marked, "marked": marked}


def _value(text: str) -> Fraction | None:
    """Return the value of a text that is one number."""
    number = marked_number(f"{MARK} {text}") or final_number(text)
    return None if number is None else number.value


def _marked_lines(text: str, limit: int) -> Iterator[tuple[int, MarkedNumber]]:
    """Yield the position after each marked line before a limit, and its number. The last line can lack its line break."""
    at = text.find(MARK, 0, limit)
    while at >= 0:
        line_break = text.find("\n", at, limit)
        end = limit if line_break < 0 else line_break + 1
        if (number := marked_number(text[at:end])) is not None:
            yield end, number
        at = text.find(MARK, end, limit)


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    last = None
    for last in pattern.finditer(text):  # noqa: B007
        pass
    return last
