"""The number of a marked line, such as ``#### 18``. A line that can mean something else has none."""

import re
from dataclasses import dataclass
from fractions import Fraction

from cme.suite.metrics.number_text import MINUS, NUMBER, SPACES, has_thousands, number_value

__all__ = ["MARK", "MarkedNumber", "marked_number"]

MARK = "####"
_MOST_CHARACTERS = 200
_MOST_CAPITALS = 3

_BLANK = rf"[ \t{SPACES}]"
_DASH = "\u2014"
_OPERATORS = f"<>=≤≥≠≈±×÷·^/|{_DASH}{MINUS}"
_STYLE = r"\\(?:boxed|text|textbf|mathbf|mathrm|mbox|displaystyle) ?\{?"
# Signs that change no value: currencies, Markdown, brackets, and commands of LaTeX.
_BEFORE = rf"(?:[^\w\s.\\%,;!?{_OPERATORS}]|_|{_BLANK}|\\[$(\[,;! ]|{_STYLE})"
_LETTER = r"[^\W\d_]"
_GAP = rf"(?:[_*$€£¥₹°\"'`~}}%]|{_BLANK}|\\[%$)\],;! ]|{_STYLE}|[(/](?={_LETTER}))"
_WORD = rf"{_LETTER}+(?:['’.-]{_LETTER}+)*(?:[²³]|\^\{{?[23]\}}?)?"
_AFTER = rf"(?:[^\w\s\\:?#&@+{_OPERATORS}]|_|{_BLANK}|\\[%$)\],;!\\ ])"
_LINE = re.compile(
    rf"{_BEFORE}{{0,16}}(?:(?P<minus>[{MINUS}]){_BEFORE}{{0,8}})?"
    rf"(?P<number>{NUMBER}|(?P<spaced>[0-9]{{1,3}}(?: [0-9]{{3}})+(?:\.[0-9]+)?))"
    rf"{_GAP}*(?P<unit>{_WORD}(?:(?:{_BLANK}+|/){_WORD}){{0,2}})?{_AFTER}*"
)
_CALCULATOR = re.compile(r"<<[^<>]*>>")
_ARROW = re.compile(r"[-=–]+>")
_EQUALS = re.compile(r"[=≈]|\\approx")
_CALCULATION = re.compile(
    rf"(?:[0-9\s.,+*/×÷·()\[\]{{}}^%$€£¥₹_~:=≈{MINUS}]|[xX](?=\s*[$(]?\s*[0-9.])"
    r"|\\(?:times|cdot|div|left|right|approx|[cdt]?frac|[$,!]))*"
)
_HEADING = re.compile(r"\W*[0-9]+[.)]\s")
_SCALE = re.compile("(?:hundred|thousand|million|billion|trillion|dozen|lakh|crore|half|halve|third|quarter)s?")
_SHORT_SCALES = frozenset({"k", "K", "M", "B", "T", "bn", "mn", "mio"})


@dataclass(frozen=True)
class MarkedNumber:
    """The number of a marked line.

    Attributes:
        text: the number as it is written, with its sign.
        value: its value; None for a number of more than 100 characters, or with a denominator of 0.
    """

    text: str
    value: Fraction | None


def marked_number(line: str) -> MarkedNumber | None:
    r"""Return the number of a marked line, or None if the line has no mark, or if its number is not clear.

    After the last ``####`` the line must hold one number and nothing else but signs, such as ``$`` or ``**``, and a unit of at
    most three words. Of a calculation, the number after the last ``=`` counts. A number that is followed by a point or a bracket
    and text begins a heading. Words such as ``million`` and powers such as ``10^6`` make the number unclear.

    Args:
        line: one line.

    Example:
        >>> marked_number("#### **$1,000** per week").text
        '1,000'
        >>> marked_number("#### 5*3 = 15 eggs").value
        Fraction(15, 1)
        >>> marked_number("#### 1. Count the eggs") is None
        True
    """
    line = line.rstrip().rstrip("#")
    at = line.rfind(MARK)
    rest = line[at + len(MARK) :].strip()
    if at < 0 or len(rest) > _MOST_CHARACTERS:
        return None
    rest = _ARROW.sub("=", _CALCULATOR.sub("", rest))
    *before, rest = _EQUALS.split(rest)
    calculation = "=".join(before)
    if not _CALCULATION.fullmatch(calculation) or _HEADING.match(f"{calculation} "):
        return None
    match = _LINE.fullmatch(rest.strip())
    if match is None or (match["plain"] and not has_thousands(match["plain"])) or not _is_unit(match["unit"] or ""):
        return None
    sign = "-" if match["minus"] else ""
    if match["spaced"]:
        value: Fraction | None = Fraction(match["spaced"].replace(" ", ""))
    else:
        value = number_value(match)
    return MarkedNumber(f"{sign}{match['number']}", -value if sign and value is not None else value)


def _is_unit(unit: str) -> bool:
    """Return whether words after a number change no value and begin no heading."""
    words = unit.replace("/", " ").split()
    if any(_SCALE.fullmatch(word.casefold()) for word in words) or unit in _SHORT_SCALES:
        return False
    # Some digits, such as a raised one, are letters to a regular expression.
    if any(char.isnumeric() for char in unit if char not in "²³23") or unit[:1] in ("²", "³"):
        return False
    return not unit[:1].isupper() or (len(words) == 1 and unit.isupper() and len(unit) <= _MOST_CAPITALS)
