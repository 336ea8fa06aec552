"""QNLI: does the sentence answer the question? Label 0 (entailment) means that it does.

In easy rows, a sentence that does not answer the question states an open matter or describes another entity. In hard rows it
states another fact about the same entity, or the requested fact about another entity. In graded rows of level 2 it states another
fact about the same entity, or describes an entity of another kind.
"""

from cme.mini_corpus.draw import Row, Slot
from cme.mini_corpus.entities import KINDS, Entity, another, main, some
from cme.mini_corpus.passages import ask, passage, sentence
from cme.mini_corpus.relations import Relation
from cme.mini_corpus.renderer import Renderer

__all__ = ["RENDERERS"]

_PAIRS = ("answer",) * 3 + ("open", "open", "far")
_MIDDLE_PAIRS = ("answer", "matter", "answer", "far")
_HARD_PAIRS = ("answer", "matter", "answer", "thing")


def _tell(slot: Slot, thing: Entity, facts: list[Relation]) -> str:
    """Return a text that states the facts in random order."""
    return passage([(thing, slot.rng.sample(facts, len(facts)))], slot.rng)[0]


def _make(slot: Slot) -> Row:
    rng, thing = slot.rng, main(slot.serial, slot.pool, slot.seed)
    target, *others = rng.sample(thing.kind.relations, 5)
    beside = others[: 3 if slot.long else int(slot.hard)]
    pair = slot.deal(_HARD_PAIRS if slot.hard else _MIDDLE_PAIRS if slot.level == 2 else _PAIRS)
    if pair == "answer":
        text = _tell(slot, thing, [target, *beside])
    elif pair == "matter":
        text = _tell(slot, thing, [others[3], *beside])
    elif pair == "thing":
        text = _tell(slot, another([thing], slot.pool, slot.seed, rng), [target, *beside])
    elif pair == "open":
        text = sentence(f"{thing.name} {rng.choice(thing.kind.rumours).phrase}")
        text += f" {_tell(slot, thing, beside)}" if beside else ""
    else:
        kind = rng.choice([key for key in KINDS if key != thing.kind.key])
        stranger = some(kind, slot.pool, slot.seed, rng)
        text = _tell(slot, stranger, rng.sample(stranger.kind.relations, 1 + len(beside)))
    return {"question": ask(target, thing.name, rng.randrange(5)), "sentence": text, "label": int(pair != "answer")}


def _identify(slot: Slot) -> Row:
    return {"idx": slot.index}


RENDERERS = (
    Renderer(
        folder="qnli",
        dataset="qnli",
        sizes={"train": 240_000, "validation": 1_000},
        make=_make,
        identify=_identify,
        texts=("question", "sentence"),
        leaks={"train": "validation"},
    ),
)
