"""Normalisers of long texts and their summaries."""

import re

from cme.data.example import Content, Dropped, Row
from cme.data.normalise.fields import BadValueError, is_empty, text
from cme.suite import DatasetSpec

__all__ = ["summary", "tldr"]

_LOOSE_STOP = re.compile(r" +([.!?])(?=\s|$)")
_TLDR_LAYOUT = re.compile(r"SUBREDDIT: r/\S*\n\nTITLE: (.*?)\n\nPOST: (.*)\n\nTL;DR:", re.DOTALL)


def summary(row: Row, spec: DatasetSpec) -> Content | Dropped:
    """Normalise a row of CNN/DailyMail. Highlights are joined by newlines. The space before a full stop is removed.

    The output for training is one paragraph. The reference keeps its lines, which rougeLsum needs.

    Args:
        row: columns article, highlights (str).
        spec: the dataset.

    Source: https://arxiv.org/abs/1602.06023.
    """
    highlights = [_LOOSE_STOP.sub(r"\1", line) for line in _lines(text(row, "highlights"))]
    return _summarised("Article: ", text(row, "article"), highlights)


def tldr(row: Row, spec: DatasetSpec) -> Content | Dropped:
    """Normalise a row of Reddit TL;DR. The input is the title, if there is one, and the post.

    The title is included, because it often names the people or states the question, which the post does not repeat. The subreddit
    is left out.

    Args:
        row: columns prompt (str: ``SUBREDDIT: r/…``, ``TITLE: …``, ``POST: …``, ``TL;DR:``, with blank lines between; a post
            can contain blank lines and "TL;DR:", so it ends at the last one), completion (str: a space, then the summary).
        spec: the dataset.

    Raises:
        BadValueError: the prompt has another layout.

    Source: https://arxiv.org/abs/2009.01325, from https://aclanthology.org/W17-4508.
    """
    prompt = text(row, "prompt")
    layout = _TLDR_LAYOUT.fullmatch(prompt)
    if layout is None:
        raise BadValueError(
            "prompt", prompt, "'SUBREDDIT: r/…', 'TITLE: …', 'POST: …', 'TL;DR:' with blank lines between"
        )
    title, post = (field.strip() for field in layout.groups())
    before = f"Title: {' '.join(title.split())}\n" if title else ""
    return _summarised(f"{before}Post: ", post, _lines(text(row, "completion")))


def _lines(reference: str) -> list[str]:
    return [" ".join(line.split()) for line in reference.split("\n") if line.strip()]


def _summarised(head: str, body: str, reference: list[str]) -> Content | Dropped:
    if is_empty(body) or not reference:
        return Dropped("empty text")
    return Content(
        input=f"{head}{body}",
        output=" ".join(reference),
        match=(body,),
        answers=("\n".join(reference),),
        long=(len(head), len(head) + len(body)),
    )
