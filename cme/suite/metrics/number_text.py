"""Numbers as models write them: one pattern, and the value of what it matches."""

import re
from fractions import Fraction

__all__ = ["DIGITS", "MINUS", "NUMBER", "SPACES", "digits_value", "has_thousands", "number_value"]

_MOST_CHARACTERS = 100
SPACES = "\u00a0\u2009\u202f"
"""Spaces that separate thousands, for a character class."""

MINUS = "\\-\u2212\uff0d\ufe63\u2013"
"""The signs that are read as a minus, for a character class."""

_GROUP = rf"(?:,?\\[,!]|\{{,\}}|[,'\u2019{SPACES}])"
DIGITS = rf"[0-9]+(?:{_GROUP}[0-9]+)*(?:\.[0-9]+)?|\.[0-9]+"
"""Pattern of digits with or without groups and decimals."""

_PART = r"(?:\{ *[0-9]{1,30} *\}|[0-9])"
NUMBER = (
    rf"(?:(?:(?P<mixed>[0-9]{{1,30}}) ?)?\\[cdt]?frac *(?P<top>{_PART}) *(?P<bottom>{_PART})(?![0-9])"
    r"|(?<!/)(?:(?P<whole>[0-9]{1,30}) )?(?P<over>[0-9]{1,30})/(?P<under>[0-9]{1,30})(?![0-9/]|\.[0-9])"
    rf"|(?P<plain>{DIGITS})(?:[eE](?P<power>[+-]?[0-9]{{1,3}})(?![0-9A-Za-z]))?)"
)
"""Pattern of a number without its sign: digits, a fraction, or a mixed number."""


def number_value(match: re.Match[str]) -> Fraction | None:
    """Return the value of a match with the groups of `NUMBER` in its group ``number``.

    It is None for a number of more than 100 characters and for a division by zero. A sign is not read.
    """
    if len(match["number"]) > _MOST_CHARACTERS:
        return None
    if match["top"] is not None:
        return _mixed(match["mixed"], match["top"].strip("{ }"), match["bottom"].strip("{ }"))
    if match["over"] is not None:
        return _mixed(match["whole"], match["over"], match["under"])
    value = digits_value(match["plain"])
    return value if value is None or match["power"] is None else value * Fraction(10) ** int(match["power"])


def digits_value(digits: str) -> Fraction | None:
    """Return the value of digits (`DIGITS`). Commas that form no groups of thousands separate numbers; the last one counts."""
    if len(digits) > _MOST_CHARACTERS:
        return None
    head, _, tail = digits.partition(".")
    groups = re.split(_GROUP, head)
    whole = "".join(groups) if _thousands(groups) else groups[-1]
    return Fraction(f"{whole or 0}.{tail}" if tail else whole)


def has_thousands(digits: str) -> bool:
    """Return whether digits (`DIGITS`) have no groups, or only groups of thousands. ``1,00,000`` is an Indian one."""
    return _thousands(re.split(_GROUP, digits.partition(".")[0]))


def _thousands(groups: list[str]) -> bool:
    if len(groups) == 1:
        return True
    western = 1 <= len(groups[0]) <= 3 and all(len(group) == 3 for group in groups[1:])
    indian = 1 <= len(groups[0]) <= 2 and all(len(group) == 2 for group in groups[1:-1]) and len(groups[-1]) == 3
    return western or indian


def _mixed(whole: str | None, top: str, bottom: str) -> Fraction | None:
    return Fraction(int(top), int(bottom)) + int(whole or 0) if int(bottom) else None
