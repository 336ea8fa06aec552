"""Adversarial NLI in three rounds: a premise about an entity, and a hypothesis that is true, open or false."""

from cme.mini_corpus.draw import Row, Slot
from cme.mini_corpus.entities import main
from cme.mini_corpus.inference import CONTRADICTED, ENTAILED, OPEN, Signs, pair
from cme.mini_corpus.renderer import Renderer

__all__ = ["RENDERERS"]

_ROUNDS = ("r1", "r2", "r3")
# As in the published datasets, the hypothesis alone predicts the label in part. Both signs also occur under the other labels,
# and some hypotheses have none, so a model needs the premise.
_SIGNS = Signs(denied=(0.05, 0.05, 0.65), guessed=0.6)
_REASONS = (
    "The text says so, so it is definitely correct.",
    "The text does not say anything about this, so it may be true or not.",
    "The text says something else, so it is definitely incorrect.",
)


def _make(slot: Slot) -> Row:
    thing = main(slot.serial, slot.pool, slot.seed)
    label = slot.deal((ENTAILED, OPEN, CONTRADICTED))
    premise, hypothesis = pair(slot, thing, label, _SIGNS, others=2 if slot.long else 0)
    reason = _REASONS[label] if slot.rng.random() < (0.3 if slot.training else 0.7) else ""
    return {"premise": premise, "hypothesis": hypothesis, "label": label, "reason": reason}


def _identify(slot: Slot) -> Row:
    return {"uid": slot.uuid()}


RENDERERS = (
    Renderer(
        folder="anli",
        dataset="anli",
        sizes={
            **{f"train_{name}": 120_000 for name in _ROUNDS},
            **{f"{split}_{name}": 1_000 for split in ("dev", "test") for name in _ROUNDS},
        },
        make=_make,
        identify=_identify,
        texts=("premise", "hypothesis"),
        leaks={f"train_{name}": f"test_{name}" for name in _ROUNDS},
        grades=(1, 1, 1, 2, 2, 3),
        practice=(1, 1, 1, 1, 2, 3),
    ),
)
