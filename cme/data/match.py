"""When two rows are the same item: their match texts are equal after spelling differences are taken away.

Lower case, no punctuation, single spaces. Rows of different datasets are compared too, but only those of one shape can
meet: a single text with another, an ordered pair (premise and hypothesis, passage and question) with another, an
unordered pair (paraphrases) with another, a question and its options with the same.
"""

import hashlib
import re
import unicodedata

from cme.data.example import Example
from cme.suite import DatasetSpec

__all__ = ["DIGEST_BYTES", "canonical", "canonical_texts", "gold_text", "match_digest", "texts_digest"]

DIGEST_BYTES = 16
"""At 3 million rows the chance of one false match is below 1e-25."""

_ASCII_PUNCTUATION = bytes(code for code in range(128) if unicodedata.category(chr(code)).startswith("P"))
_ASCII_SPACES = bytes.maketrans(b"\t\n\v\f\r\x1c\x1d\x1e\x1f", b" " * 9)  # what str.split takes for white space
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_NEXT, _UNORDERED = "\x1f", "\x1e"  # white space to str.split, so no canonical text holds them


def canonical(text: str) -> str:
    """A text without its spelling differences: case, punctuation, invisible characters, composition, white space.

    Punctuation is Unicode's (categories P*), so curly quotes and full-width commas go and letters of every script
    stay; symbols (+ < = $) stay as well, since they tell formulas apart. A text of nothing but punctuation stays as it
    is, or all such texts would be one.
    """
    folded = text.casefold()
    if not folded.isascii():
        folded = _NOT_ASCII.sub(_unless_punctuation, unicodedata.normalize("NFC", folded))
    # In UTF-8 a byte below 128 is always an ASCII character, so both can be done on the bytes: twice as fast.
    kept = folded.encode("utf-8", "surrogatepass").translate(_ASCII_SPACES, _ASCII_PUNCTUATION)
    if not folded.isascii():
        return " ".join(kept.decode("utf-8", "surrogatepass").split()) or " ".join(text.split())
    # Few words are more than one space apart, so this is twice as fast as a list of all words.
    while b"  " in kept:
        kept = kept.replace(b"  ", b" ")
    return kept.strip().decode() or " ".join(text.split())


def canonical_texts(example: Example, spec: DatasetSpec) -> tuple[list[str], list[str]]:
    """An example's match texts in canonical form: those whose order counts, and those whose order does not, sorted.

    `Example.match` has its unordered texts sorted as they are spelled. Spelling decides the order of "apple" and
    "Banana", so they are sorted again in canonical form: both texts of a paraphrase pair, and the options of a
    question.
    """
    texts = [canonical(text) for text in example.match]
    start = _unordered_from(example, spec)
    return texts[:start], sorted(texts[start:])


def texts_digest(ordered: list[str], unordered: list[str]) -> bytes:
    """Digest of what `canonical_texts` gives; equal for rows that are the same item."""
    whole = _NEXT.join(ordered) + _UNORDERED + _NEXT.join(unordered)
    return hashlib.blake2b(whole.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES).digest()


def match_digest(example: Example, spec: DatasetSpec) -> bytes:
    """Digest of an example's match texts in canonical form; equal for rows that are the same item."""
    return texts_digest(*canonical_texts(example, spec))


def gold_text(example: Example, spec: DatasetSpec) -> str:
    """What a choice example's answer says, comparable between rows; "" where the answer is free text.

    Options may stand in another order in a copy, so a letter says nothing: the option's text does.
    """
    if example.choices is None or example.gold is None:
        return ""
    choice = example.choices[example.gold]
    if spec.choices is not None:
        return choice
    head = f"\n{choice}. "
    start = example.input.rfind(head)
    if start < 0:
        return choice
    return canonical(example.input[start + len(head) :].split("\n", 1)[0])


def _unordered_from(example: Example, spec: DatasetSpec) -> int:
    if spec.family == "paraphrase_detection":
        return 0
    options = len(example.choices or ()) if spec.choices is None else 0
    return len(example.match) - options if options < len(example.match) else len(example.match)


def _unless_punctuation(match: re.Match[str]) -> str:
    category = unicodedata.category(match[0])
    return "" if category.startswith("P") or category == "Cf" else match[0]
