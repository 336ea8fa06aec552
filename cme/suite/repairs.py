"""Repairs of texts that were damaged before they were published, and of answers that contain end tokens.

The repairs concern the prompts of ANLI, QQP and IMDB, and answers in which a model continues after an end token. Ids are computed
from the published rows, so they do not change. A change of a repair must increase `cme.suite.scorer.SCORER_VERSION`.
"""

import re
from collections.abc import Iterable
from typing import Any

__all__ = ["cut_after_end", "restore_controls", "restore_line_breaks", "restore_quotes"]

_LINE_BREAK = re.compile(r"[ \t]*<br ?/?>[ \t]*")
_C1 = {code: bytes([code]).decode("cp1252", "ignore") for code in range(0x80, 0xA0)}


def restore_line_breaks(text: str) -> str:
    """Replace ``<br>`` by a line break (ANLI, mostly round 3)."""
    return _LINE_BREAK.sub("\n", text).strip()


def restore_quotes(text: str) -> str:
    """Unquote a quoted CSV field, in which all inner quotation marks are doubled (QQP).

    A text without doubled inner quotation marks is not changed.
    """
    inner = text[1:-1]
    quoted = len(text) > 2 and text[0] == text[-1] == '"' and '""' in inner and '"' not in inner.replace('""', "")
    return inner.replace('""', '"').strip() if quoted else text


def restore_controls(value: Any) -> Any:
    """Replace C1 control characters by their characters in Windows-1252, such as dashes, ellipses and quotes (IMDB).

    The five codes that Windows-1252 does not use are removed.

    Args:
        value: value of a column. A value that is not a text is returned unchanged.
    """
    return value.translate(_C1) if isinstance(value, str) else value


def cut_after_end(text: str, ends: Iterable[str]) -> str:
    """Cut a generated text before the first end token in it.

    A tokenizer omits the end tokens that it knows as special tokens. An end token that only ``generation_config.json`` names
    would remain in the answer with all text after it.

    Args:
        text: the generated text.
        ends: texts of the end tokens.
    """
    places = [text.find(end) for end in ends if end.strip() and end in text]
    return text[: min(places)] if places else text
