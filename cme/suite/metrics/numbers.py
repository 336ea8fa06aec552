"""Extraction of the final number from a worked solution, and comparison of numbers by value.

A solution ends with a marked line, such as ``#### 18``. CME declares one extractor for all datasets whose answer is a number:

1. The text ends after its first complete marked line, or before a line that begins a new question (`solution_end`). What a model
   writes after that answers nothing.
2. The answer is the number after the last ``####``. Without a marked number it is the last number of the text.

The strict reading accepts only the marked number. The flexible reading is the declared one, by which results are ranked.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

__all__ = ["FinalNumber", "final_number", "number_scores", "same_number", "solution_end"]

_MARK = "####"
_MOST_CHARACTERS = 100
_SPACES = "\u00a0\u2009\u202f"
_MINUS = "\\-\u2212\uff0d\ufe63\u2013"
_GROUP = f"[,'\u2019{_SPACES}]"
_DIGITS = rf"[0-9]+(?:{_GROUP}[0-9]+)*(?:\.[0-9]+)?|\.[0-9]+"
_NUMBER = re.compile(
    # A minus after a letter, a digit or a bracket is a hyphen or an operator, as in "x-5" or "10-15".
    rf"(?P<number>(?:(?<![0-9A-Za-z)\]}}.])(?P<minus>[{_MINUS}])[$£€¥₹]?"
    # A point after a letter is no decimal point, as in "Rs.5".
    rf"|(?<![0-9A-Za-z.])|(?<=[A-Za-z]\.))"
    rf"(?:\\d?frac\{{(?P<top>[0-9]{{1,30}})\}}\{{(?P<bottom>[0-9]{{1,30}})\}}"
    rf"|(?<!/)(?:(?P<whole>[0-9]{{1,30}}) )?(?P<over>[0-9]{{1,30}})/(?P<under>[0-9]{{1,30}})(?![0-9/])"
    rf"|(?P<plain>{_DIGITS})(?:[eE](?P<power>[+-]?[0-9]{{1,3}})(?![0-9A-Za-z]))?))"
)
_MARKED = re.compile(rf"(?<!#){_MARK}#*+(?:[^0-9A-Za-z\n.\\{_MINUS}]|\\\$){{0,12}}(?:\\boxed\{{)?{_NUMBER.pattern}")
_LOOSE = re.compile(rf"(?P<plain>{_DIGITS})")
_NEXT_QUESTION = re.compile(r"^[ \t]*(?:Question|Q):", re.MULTILINE)


@dataclass(frozen=True)
class FinalNumber:
    """The final number of a solution.

    Attributes:
        text: the number as it is written.
        value: its value; None for a number of more than 100 characters, which equals no number.
        marked: whether it follows ``####``.
    """

    text: str
    value: Fraction | None
    marked: bool


def solution_end(text: str) -> int | None:
    r"""Return the position at which a generated solution is complete, or None if it can continue.

    A solution is complete after its first line with a marked number and a line break, or before a line that begins with
    ``Question:`` or ``Q:``. Generation may stop there, because nothing after it is scored.

    Example:
        >>> solution_end("2 + 2 = 4\n#### 4\nQuestion: What")
        17
        >>> solution_end("2 + 2 = 4\n#### 4") is None
        True
    """
    marked, question = _MARKED.search(text), _NEXT_QUESTION.search(text)
    ends = [] if question is None else [question.start()]
    if marked is not None and (line_end := text.find("\n", marked.end())) >= 0:
        ends.append(line_end + 1)
    return min(ends, default=None)


def final_number(text: str) -> FinalNumber | None:
    r"""Extract the final number of a generated solution, or None if it has none.

    Example:
        >>> final_number("So she has $1,000.\n#### 1,000").value
        Fraction(1000, 1)
        >>> final_number("about 3/4 of it").marked
        False
    """
    text = text.lstrip()
    end = solution_end(text)
    text = text if end is None else text[:end]
    for pattern in (_MARKED, _NUMBER):
        if (last := _last(pattern, text)) is not None:
            return FinalNumber(last["number"], _value(last), pattern is _MARKED)
    # Digits after letters, such as "x2", are the last resort.
    last = _last(_LOOSE, text)
    return None if last is None else FinalNumber(last[0], _plain(last[0]), False)


def same_number(left: str, right: str) -> bool:
    """Return whether two texts are the same number: ``1,000`` is ``1000`` and ``$1000.00``.

    Args:
        left: a text that is one number, possibly with a sign, a currency, a percent sign or a full stop.
        right: another one.
    """
    first, second = final_number(left), final_number(right)
    return first is not None and second is not None and first.value is not None and first.value == second.value


def number_scores(text: str, accepted: Sequence[str]) -> dict[str, float]:
    """Score a generated solution.

    Args:
        text: the generated text.
        accepted: the accepted numbers.

    Returns:
        ``flexible_match``: whether the final number equals an accepted one. ``strict_match``: the same, for a marked number only.
        ``marked``: whether the final number is marked.
    """
    found = final_number(text)
    golds = [gold.value for gold in map(final_number, accepted) if gold is not None and gold.value is not None]
    right = float(found is not None and found.value in golds)
    marked = float(found is not None and found.marked)
    return {"flexible_match": right, "strict_match": right * marked, "marked": marked}


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    last = None
    for last in pattern.finditer(text):  # noqa: B007
        pass
    return last


def _value(match: re.Match[str]) -> Fraction | None:
    if len(match["number"]) > _MOST_CHARACTERS:
        return None
    if match["top"] is not None:
        value = _quotient(match["top"], match["bottom"])
    elif match["over"] is not None:
        value = _quotient(match["over"], match["under"])
        if value is not None and match["whole"] is not None:
            value += int(match["whole"])
    else:
        value = _plain(match["plain"])
        if value is not None and match["power"] is not None:
            value *= Fraction(10) ** int(match["power"])
    return -value if value is not None and match["minus"] else value


def _quotient(top: str, bottom: str) -> Fraction | None:
    return Fraction(int(top), int(bottom)) if int(bottom) else None


def _plain(digits: str) -> Fraction | None:
    """Return the value of digits with or without groups. Commas that form no groups of thousands separate numbers."""
    if len(digits) > _MOST_CHARACTERS:
        return None
    head, _, tail = digits.partition(".")
    groups = re.split(_GROUP, head)
    western = len(groups[0]) <= 3 and all(len(group) == 3 for group in groups[1:])
    indian = len(groups[0]) <= 2 and all(len(group) == 2 for group in groups[1:-1]) and len(groups[-1]) == 3
    whole = "".join(groups) if western or indian else groups[-1]
    return Fraction(f"{whole or 0}.{tail}" if tail else whole)
