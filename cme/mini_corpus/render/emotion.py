"""Emotion: a lower-case sentence without punctuation. The labels are sadness, joy, love, anger, fear and surprise."""

import string

from cme.mini_corpus.draw import Row, Slot
from cme.mini_corpus.entities import main, some
from cme.mini_corpus.feelings import ANGER, FEAR, JOY, LOVE, SADNESS, SURPRISE, feel
from cme.mini_corpus.passages import claim
from cme.mini_corpus.renderer import Renderer

__all__ = ["RENDERERS"]

_FEELINGS = (SADNESS, JOY, LOVE, ANGER, FEAR, SURPRISE)
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def _make(slot: Slot) -> Row:
    rng, friend = slot.rng, main(slot.serial, slot.pool, slot.seed, ("person",))
    label = slot.deal(range(len(_FEELINGS)))
    text = feel(_FEELINGS, label, friend.name, rng, hard=slot.hard, contrary=slot.level == 2)
    if slot.long:
        witness = some("person", slot.pool, slot.seed, rng)
        relation = rng.choice(witness.kind.relations)
        text += f" while {witness.name} {claim(relation, witness.values[relation.key], rng)}"
    return {"text": text.lower().translate(_PUNCTUATION), "label": label}


def _identify(slot: Slot) -> Row:
    return {}


RENDERERS = (
    Renderer(
        folder="emotion",
        dataset="emotion",
        sizes={"train": 300_000, "validation": 1_200, "test": 1_200},
        make=_make,
        identify=_identify,
        texts=("text",),
        leaks={"train": "test"},
        grades=(1, 2, 2, 3, 3),
        practice=(1, 1, 2, 2, 3),
        lower=True,
    ),
)
