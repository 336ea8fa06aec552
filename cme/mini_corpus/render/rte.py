"""Recognizing Textual Entailment: does the second sentence follow from the first? Label 0 is entailment."""

from cme.mini_corpus.draw import Row, Slot
from cme.mini_corpus.entities import main
from cme.mini_corpus.inference import CONTRADICTED, ENTAILED, OPEN, Signs, pair
from cme.mini_corpus.renderer import Renderer

__all__ = ["RENDERERS"]

_SIGNS = Signs(denied=(0.03, 0.03, 0.85), guessed=0.9)
# Hypotheses that are not entailed are open or contradicted, equally often.
_RELATIONS = (ENTAILED, OPEN, ENTAILED, CONTRADICTED)


def _make(slot: Slot) -> Row:
    thing = main(slot.serial, slot.pool, slot.seed)
    relation = slot.deal(_RELATIONS)
    first, second = pair(slot, thing, relation, _SIGNS, facts=2, others=3 if slot.long else 0)
    return {"sentence1": first, "sentence2": second, "label": int(relation != ENTAILED)}


def _identify(slot: Slot) -> Row:
    return {"idx": slot.index}


RENDERERS = (
    Renderer(
        folder="rte",
        dataset="rte",
        sizes={"train": 120_000, "validation": 1_000},
        make=_make,
        identify=_identify,
        texts=("sentence1", "sentence2"),
        leaks={"train": "validation"},
        grades=(1, 1, 1, 2, 2, 3),
        practice=(1, 1, 1, 1, 2, 3),
    ),
)
