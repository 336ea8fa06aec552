"""PAWS: two sentences with nearly the same words. They have the same meaning if the same person did the same to the other.

In easy rows, a paraphrase mostly puts one sentence in the passive or opens it with "It was". A pair with different meanings is
mostly in plain form, with exchanged people or another event. In hard rows, all combinations of forms occur under both labels,
and only the people are exchanged. As on the hub, the text is split into tokens, and quotation marks are doubled.

In graded rows of level 1, pairs with different meanings have only the people in common, and the form of the second sentence
gives the label away. Rows of level 2 are easy rows.
"""

from cme.mini_corpus.draw import Row, Slot
from cme.mini_corpus.entities import another, main
from cme.mini_corpus.renderer import Renderer

__all__ = ["RENDERERS"]

_PLAIN = "{a} {did} {b} {where} {when} ."
_AHEAD = "{Where} , {a} {did} {b} {when} ."
_PASSIVE = "{b} was {done} by {a} {where} {when} ."
_CLEFT = "It was {a} who {did} {b} {where} {when} ."
_FORMS = (_PLAIN, _AHEAD, _PASSIVE, _CLEFT)
_DEEDS = (
    ("thanked", "thanked"),
    ("hired", "hired"),
    ("followed", "followed"),
    ("painted", "painted"),
    ("chose", "chosen"),
    ("taught", "taught"),
    ("beat", "beaten"),
    ("found", "found"),
    ("invited", "invited"),
    ("saw", "seen"),
    ("called", "called"),
    ("paid", "paid"),
)
_PLACES = (
    "at the market",
    "near the old mill",
    "in the library",
    "at the `` Red Kettle '' inn",
    "on the bridge",
    "behind the school",
    "at the lake",
    "in the park",
)
_TIMES = (
    "in the morning",
    "after lunch",
    "on Sunday",
    "at night",
    "in spring",
    "before the dance",
    "last week",
    "in May",
)
# Four of nine pairs are paraphrases, as on the hub.
_PAIRS = ("same",) * 4 + ("swap",) * 3 + ("other",) * 2
_HARD_PAIRS = ("same",) * 4 + ("swap",) * 5
_EXCEPTIONS = 0.15
_CLEAR_PAIRS = ("same",) * 4 + ("other",) * 5


def _forms(slot: Slot, pair: str) -> list[str]:
    """Return the forms of the two sentences. They are the same only in an easy pair with different meanings."""
    if slot.level == 1:
        return [_PLAIN, _CLEFT if pair == "same" else _AHEAD]
    if slot.hard or slot.rng.random() < _EXCEPTIONS:
        return slot.rng.sample(_FORMS, 2)
    return [_PLAIN, slot.rng.choice((_PASSIVE, _CLEFT)) if pair == "same" else _PLAIN]


def _make(slot: Slot) -> Row:
    rng, one = slot.rng, main(slot.serial, slot.pool, slot.seed, ("person",))
    two = another([one], slot.pool, slot.seed, rng)
    deeds, places, times = (rng.sample(words, 2) for words in (_DEEDS, _PLACES, _TIMES))
    pair = slot.deal(_HARD_PAIRS if slot.hard else _CLEAR_PAIRS if slot.level == 1 else _PAIRS)
    people = (one.name, two.name)
    texts = []
    for number, form in enumerate(_forms(slot, pair)):
        a, b = people[::-1] if number and pair == "swap" else people
        which = int(number and pair == "other")
        (did, done), where, when = deeds[which], places[which], times[which]
        text = form.format(
            a=a, b=b, did=did, done=done, where=where, Where=f"{where[0].upper()}{where[1:]}", when=when
        )  # fmt: skip
        texts.append(text)
    # On the hub, some tokens are joined by two spaces.
    if rng.random() < 0.02:
        texts[1] = texts[1].replace(" .", "  .")
    return {"sentence1": texts[0], "sentence2": texts[1], "label": int(pair == "same")}


def _identify(slot: Slot) -> Row:
    return {"id": slot.index + 1}


RENDERERS = (
    Renderer(
        folder="paws",
        dataset="paws",
        sizes={"train": 180_000, "validation": 1_000, "test": 1_000},
        make=_make,
        identify=_identify,
        texts=("sentence1", "sentence2"),
        leaks={"train": "test"},
        swap=("sentence1", "sentence2"),
    ),
)
