"""Multi-Genre NLI: training and matched rows are about people, towns and animals, mismatched rows about festivals."""

from cme.mini_corpus.draw import Row, Slot
from cme.mini_corpus.entities import TURNS, main
from cme.mini_corpus.inference import CONTRADICTED, ENTAILED, OPEN, Signs, pair
from cme.mini_corpus.renderer import Renderer

__all__ = ["RENDERERS"]

_SIGNS = Signs(denied=(0.02, 0.02, 0.85), guessed=0.85)
_MATCHED = tuple("person" if kind == "festival" else kind for kind in TURNS)
_MISMATCHED = ("festival",)


def _make(slot: Slot) -> Row:
    turns = _MISMATCHED if slot.split == "validation_mismatched" else _MATCHED
    thing = main(slot.serial, slot.pool, slot.seed, turns)
    label = slot.deal((ENTAILED, OPEN, CONTRADICTED))
    premise, hypothesis = pair(slot, thing, label, _SIGNS, facts=2, others=1 if slot.long else 0)
    return {"premise": premise, "hypothesis": hypothesis, "label": label}


def _identify(slot: Slot) -> Row:
    return {"idx": slot.index}


RENDERERS = (
    Renderer(
        folder="mnli",
        dataset="mnli",
        sizes={"train": 360_000, "validation_matched": 2_000, "validation_mismatched": 2_000},
        make=_make,
        identify=_identify,
        texts=("premise", "hypothesis"),
        leaks={"train": "validation_matched"},
        grades=(1, 1, 1, 2, 2, 3),
        practice=(1, 1, 1, 1, 2, 3),
    ),
)
