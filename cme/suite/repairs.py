"""Repairs of texts that change prompts or scores: written and tested, and switched off until the scorer's next version.

All of them are switched on together by `REPAIRS`. With it the prompts of ANLI, QQP and IMDB change, and the scores of texts in
which a model writes past an end token, so `cme.suite.score.SCORER_VERSION` is to be raised in the same change. Ids do not change,
as they are computed from the rows as published.
"""

import re
from collections.abc import Iterable
from typing import Any

__all__ = ["REPAIRS", "cut_after_end", "restore_controls", "restore_line_breaks", "restore_quotes"]

REPAIRS = False

_LINE_BREAK = re.compile(r"[ \t]*<br ?/?>[ \t]*")
_C1 = {code: bytes([code]).decode("cp1252", "ignore") for code in range(0x80, 0xA0)}


def restore_line_breaks(text: str) -> str:
    """Write ``<br>`` as the line break that it stands for (ANLI, above all round 3)."""
    return _LINE_BREAK.sub("\n", text).strip() if REPAIRS else text


def restore_quotes(text: str) -> str:
    """Undo the quoting of CSV: a text in quotation marks, in which all others are doubled (QQP).

    A text that only begins and ends with a quotation mark stays as it is.
    """
    inner = text[1:-1]
    quoted = len(text) > 2 and text[0] == text[-1] == '"' and '""' in inner and '"' not in inner.replace('""', "")
    return inner.replace('""', '"').strip() if REPAIRS and quoted else text


def restore_controls(value: Any) -> Any:
    """Write C1 control characters as the characters of Windows-1252 that they stand for: dashes, dots and quotes (IMDB).

    The five codes that Windows-1252 leaves free are taken out.

    Args:
        value: of a column; what is no text is returned as it is.
    """
    return value.translate(_C1) if REPAIRS and isinstance(value, str) else value


def cut_after_end(text: str, ends: Iterable[str]) -> str:
    """Cut a generated text before the first end token that is written out in it.

    A tokenizer leaves out the end tokens that it knows as special. Another one, named by ``generation_config.json`` only, would
    stay in the answer with all that follows.

    Args:
        text: as generated.
        ends: the texts of the tokens that end a text.
    """
    places = [text.find(end) for end in ends if end.strip() and end in text]
    return text[: min(places)] if REPAIRS and places else text
