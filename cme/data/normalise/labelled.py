"""One text and its label word: sentiment and emotion."""

import re

from cme.data.example import Content, Dropped, Row
from cme.data.normalise.fields import is_empty, label, text
from cme.suite import DatasetSpec
from cme.suite.repairs import restore_controls

__all__ = ["emotion", "imdb", "tweet_emotion", "yelp_polarity"]

# It begins with the backslash in any case, so that the search leaps from one to the next: seven times as fast.
_JSON_ESCAPE = re.compile(r'\\(?:u[0-9a-fA-F]{4}(?:\\u[0-9a-fA-F]{4})*|r\\n|[nrt"\\])')
_JSON_CHARACTERS = {r"\r\n": "\n", r"\r": "\n", r"\n": "\n", r"\t": "\t", r"\"": '"', r"\\": "\\"}


def imdb(row: Row, spec: DatasetSpec) -> Content | Dropped:
    """IMDB film reviews → Content; the line breaks, which the reviews keep as ``<br />``, are restored.

    Args:
        row: columns text (str), label (0 = negative, 1 = positive; -1 in the split ``unsupervised``, which is no part of the
            suite).
        spec: the dataset.

    Source: https://aclanthology.org/P11-1015.
    """
    # Before the text is stripped: U+0085, which stands for three dots, counts as white space.
    body = text({"text": restore_controls(row["text"])}, "text")
    return _labelled(body.replace("<br />", "\n"), row, spec, name="Review")


def yelp_polarity(row: Row, spec: DatasetSpec) -> Content | Dropped:
    r"""Yelp reviews of one or two stars against three or four → Content.

    The hub cuts the lines of the original CSV by position, so each text still has the CSV's doubled quotes around JSON
    escapes: ``\""`` for a quote, ``\n`` for a line break, ``\u00e9`` for é, ``\\`` for a backslash. All are undone.

    Args:
        row: columns text (str), label (0 = negative, 1 = positive; the hub's names for them are the strings "1" and "2").
        spec: the dataset.

    Source: https://arxiv.org/abs/1509.01626.
    """
    raw = text(row, "text").replace('""', '"')
    return _labelled(_JSON_ESCAPE.sub(_unescape, raw), row, spec, name="Review")


def emotion(row: Row, spec: DatasetSpec) -> Content | Dropped:
    """Emotion (six classes) → Content; the text is lower-case and without punctuation, and stays so.

    Some texts occur with two labels. They are kept here, as one item with two answers; the mix drops all copies.

    Args:
        row: columns text (str), label (0 = sadness, 1 = joy, 2 = love, 3 = anger, 4 = fear, 5 = surprise).
        spec: the dataset.

    Source: https://aclanthology.org/D18-1404.
    """
    return _labelled(text(row, "text"), row, spec, name="Text")


def tweet_emotion(row: Row, spec: DatasetSpec) -> Content | Dropped:
    r"""TweetEval's emotion task (four classes) → Content.

    A tweet is shown as its author saw it: the three entities that Twitter writes (``&amp;``, ``&lt;``, ``&gt;``) are
    unescaped, and ``\n`` is the line break that it stands for. ``@user`` stays: it masks a name that nobody can restore.

    Args:
        row: columns text (str), label (0 = anger, 1 = joy, 2 = optimism, 3 = sadness: another order than `emotion`'s).
        spec: the dataset.

    Source: https://arxiv.org/abs/2010.12421, from https://aclanthology.org/S18-1001.
    """
    tweet = text(row, "text").replace(r"\n", "\n")
    # The ampersand last: "&amp;lt;" says "&lt;".
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
        # A run at once, since characters beyond U+FFFF are written as two escapes.
        return bytes.fromhex(escape.replace(r"\u", "")).decode("utf-16-be", "replace")
    return _JSON_CHARACTERS[escape]
