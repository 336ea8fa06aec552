"""Normalisers of datasets with one text and a label word, for sentiment and emotion."""

import re

from cme.data.example import Content, Dropped, Row
from cme.data.normalise.fields import is_empty, label, text
from cme.suite import DatasetSpec
from cme.suite.repairs import restore_controls

__all__ = ["emotion", "imdb", "tweet_emotion", "yelp_polarity"]

# The pattern begins with a literal backslash, so that the search jumps between backslashes and is seven times as fast.
_JSON_ESCAPE = re.compile(r'\\(?:u[0-9a-fA-F]{4}(?:\\u[0-9a-fA-F]{4})*|r\\n|[nrt"\\])')
_JSON_CHARACTERS = {r"\r\n": "\n", r"\r": "\n", r"\n": "\n", r"\t": "\t", r"\"": '"', r"\\": "\\"}


def imdb(row: Row, spec: DatasetSpec) -> Content | Dropped:
    """Normalise an IMDB film review. Its line breaks, which are stored as ``<br />``, are restored.

    Args:
        row: columns text (str), label (0 = negative, 1 = positive; -1 in the split ``unsupervised``, which the suite does not
            use).
        spec: the dataset.

    Source: https://aclanthology.org/P11-1015.
    """
    # Controls are restored before the text is stripped, because U+0085 (an ellipsis) counts as white space.
    body = text({"text": restore_controls(row["text"])}, "text")
    return _labelled(body.replace("<br />", "\n"), row, spec, name="Review")


def yelp_polarity(row: Row, spec: DatasetSpec) -> Content | Dropped:
    r"""Normalise a Yelp review of one or two stars (negative), or of three or four stars (positive).

    On the hub, the texts still have the escapes of the original file: ``\""`` for a quote, ``\n`` for a line break, ``\u00e9``
    for é, and ``\\`` for a backslash. All of them are undone.

    Args:
        row: columns text (str), label (0 = negative, 1 = positive; the names of the classes on the hub are "1" and "2").
        spec: the dataset.

    Source: https://arxiv.org/abs/1509.01626.
    """
    raw = text(row, "text").replace('""', '"')
    return _labelled(_JSON_ESCAPE.sub(_unescape, raw), row, spec, name="Review")


def emotion(row: Row, spec: DatasetSpec) -> Content | Dropped:
    """Normalise a row of Emotion (six classes). The text is lower-case without punctuation and is not changed.

    Some texts occur with two labels. The normaliser keeps them, and a mix removes all copies.

    Args:
        row: columns text (str), label (0 = sadness, 1 = joy, 2 = love, 3 = anger, 4 = fear, 5 = surprise).
        spec: the dataset.

    Source: https://aclanthology.org/D18-1404.
    """
    return _labelled(text(row, "text"), row, spec, name="Text")


def tweet_emotion(row: Row, spec: DatasetSpec) -> Content | Dropped:
    r"""Normalise a tweet of TweetEval's emotion task (four classes).

    The three entities that Twitter writes (``&amp;``, ``&lt;``, ``&gt;``) are unescaped, and ``\n`` becomes a line break.
    ``@user`` replaces an unknown name and is not changed.

    Args:
        row: columns text (str), label (0 = anger, 1 = joy, 2 = optimism, 3 = sadness; `emotion` has another order).
        spec: the dataset.

    Source: https://arxiv.org/abs/2010.12421, from https://aclanthology.org/S18-1001.
    """
    tweet = text(row, "text").replace(r"\n", "\n")
    # The ampersand comes last, because "&amp;lt;" stands for "&lt;".
    tweet = tweet.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return _labelled(tweet, row, spec, name="Tweet")


def _labelled(body: str, row: Row, spec: DatasetSpec, *, name: str) -> Content | Dropped:
    gold = label(row, spec)
    if isinstance(gold, Dropped):
        return gold
    body = "\n".join(line.strip(" \t") for line in body.split("\n")).strip()
    if is_empty(body):
        return Dropped("empty text")
    choices = spec.choices or ()
    head = f"{name}: "
    return Content(
        input=f"{head}{body}",
        output=choices[gold],
        match=(body,),
        choices=choices,
        gold=gold,
        long=(len(head), len(head) + len(body)),
    )


def _unescape(match: re.Match[str]) -> str:
    escape = match[0]
    if escape.startswith(r"\u"):
        # Consecutive escapes are decoded together, because characters beyond U+FFFF are written as two escapes.
        return bytes.fromhex(escape.replace(r"\u", "")).decode("utf-16-be", "replace")
    return _JSON_CHARACTERS[escape]
