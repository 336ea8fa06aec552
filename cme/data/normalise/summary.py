"""Articles and their summaries."""

import re

from cme.data.example import Content, Dropped, Row
from cme.data.normalise.fields import is_empty, text
from cme.suite import DatasetSpec

__all__ = ["summary"]

_LOOSE_STOP = re.compile(r" +([.!?])(?=\s|$)")


def summary(row: Row, spec: DatasetSpec) -> Content | Dropped:
    """CNN/DailyMail → Content. Highlights are newline-joined, many ending in " ."; the space before the stop is removed.

    The model is trained on the highlights as one paragraph; the reference keeps its lines, which rougeLsum needs.

    Args:
        row: columns article, highlights (str).
        spec: the dataset.

    Source: https://arxiv.org/abs/1602.06023.
    """
    article = text(row, "article")
    lines = [_LOOSE_STOP.sub(r"\1", " ".join(line.split())) for line in text(row, "highlights").split("\n")]
    lines = [line for line in lines if line]
    if is_empty(article) or not lines:
        return Dropped("empty text")
    head = "Article: "
    return Content(
        input=f"{head}{article}",
        output=" ".join(lines),
        match=(article,),
        answers=("\n".join(lines),),
        long=(len(head), len(head) + len(article)),
    )
