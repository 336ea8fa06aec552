"""Detection of equal rows. Two rows are equal if their match texts are equal in canonical form.

The canonical form is lower-case, without punctuation, and with single spaces. Rows of different datasets are compared as well.
They can be equal only if their match texts have the same structure: a single text, an ordered pair (such as premise and
hypothesis), an unordered pair (paraphrases), or a question with options.
"""

import hashlib
import re
import unicodedata

from cme.data.example import Example
from cme.suite import DatasetSpec

__all__ = ["DIGEST_BYTES", "canonical", "canonical_texts", "gold_text", "match_digest", "texts_digest"]

DIGEST_BYTES = 16
"""Length of a digest. With 3 million rows, the probability of a false match is below 1e-25."""

_ASCII_PUNCTUATION = bytes(code for code in range(128) if unicodedata.category(chr(code)).startswith("P"))
_ASCII_SPACES = bytes.maketrans(b"\t\n\v\f\r\x1c\x1d\x1e\x1f", b" " * 9)  # white space for str.split
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_NEXT, _UNORDERED = "\x1f", "\x1e"  # white space for str.split, so that canonical texts do not contain it


def canonical(text: str) -> str:
    """Convert a text to canonical form: lower case, no punctuation, no invisible characters, NFC, and single spaces.

    Punctuation means the Unicode categories P*, to which - * / % and . belong: "3/4" and "3*4" both become "34", and "1.5"
    becomes "15". Letters of all scripts remain, and so do symbols (the categories S*, such as + < = $). A text that has only
    punctuation is not changed, because all such texts would otherwise be equal.
    """
    folded = text.casefold()
    if not folded.isascii():
        folded = _NOT_ASCII.sub(_unless_punctuation, unicodedata.normalize("NFC", folded))
    # In UTF-8, a byte below 128 is always an ASCII character. Both steps work on the bytes, which is twice as fast.
    kept = folded.encode("utf-8", "surrogatepass").translate(_ASCII_SPACES, _ASCII_PUNCTUATION)
    if not folded.isascii():
        return " ".join(kept.decode("utf-8", "surrogatepass").split()) or " ".join(text.split())
    # Multiple spaces are rare, so this is twice as fast as a list of all words.
    while b"  " in kept:
        kept = kept.replace(b"  ", b" ")
    return kept.strip().decode() or " ".join(text.split())


def canonical_texts(example: Example, spec: DatasetSpec) -> tuple[list[str], list[str]]:
    """Return the match texts of an example in canonical form: the ordered ones, and the unordered ones in sorted order.

    Unordered are both texts of a paraphrase pair and the options of a question. `Example.match` has them in the order of their
    original spelling, which differs from the order in canonical form, for example for "apple" and "Banana".
    """
    texts = [canonical(text) for text in example.match]
    start = _unordered_from(example, spec)
    return texts[:start], sorted(texts[start:])


def texts_digest(ordered: list[str], unordered: list[str]) -> bytes:
    """Return the digest of the texts that `canonical_texts` returns. Equal rows have equal digests."""
    whole = _NEXT.join(ordered) + _UNORDERED + _NEXT.join(unordered)
    return hashlib.blake2b(whole.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES).digest()


def match_digest(example: Example, spec: DatasetSpec) -> bytes:
    """Return the digest of the match texts of an example in canonical form. Equal rows have equal digests."""
    return texts_digest(*canonical_texts(example, spec))


def gold_text(example: Example, spec: DatasetSpec) -> str:
    """Return the answer of a choice example in a form that is comparable between rows, or "" for a free-text answer.

    It is the text of the option and not its letter, because a copy of the row can have another order of options.
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
