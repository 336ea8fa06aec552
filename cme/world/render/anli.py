"""Adversarial NLI: three rounds; a premise with some attributes, a hypothesis that is true, open or false."""

from itertools import pairwise

from cme.world.draw import Row, Slot
from cme.world.entities import main, some
from cme.world.part import Part
from cme.world.passages import claim, passage, sentence

__all__ = ["PARTS"]

_ROUNDS = ("r1", "r2", "r3")
_TOLD = 3
# As in the real sets the hypothesis alone tells part of the label (people deny to contradict, and guess to stay neutral);
# both signs also occur, or are missing, under the other labels, so the premise is needed for the rest.
_DENIED = (0.05, 0.05, 0.65)
_OPEN = 0.6
_REASONS = (
    "The text says so, so it is definitely correct.",
    "The text does not say anything about this, so it may be true or not.",
    "The text says something else, so it is definitely incorrect.",
)


def _make(slot: Slot) -> Row:
    rng, thing = slot.rng, main(slot.serial, slot.pool, slot.seed)
    relations = rng.sample(thing.kind.relations, _TOLD + 1)
    told, untold = relations[:_TOLD], relations[_TOLD]
    label = slot.deal((0, 1, 2))
    stories = [(thing, told)]
    if slot.long:
        for _ in range(2):
            friend = some(thing.kind.key, slot.pool, slot.seed, rng)
            stories.append((friend, rng.sample(friend.kind.relations, _TOLD - 1)))
    premise, _ = passage(stories, rng)
    relation = untold if label == 1 else rng.choice(told)
    true = thing.values[relation.key]
    denied = rng.random() < _DENIED[label]
    value = true if (label == 0) != denied else thing.other(relation, rng)
    said = claim(relation, value, rng, denied=denied)
    if label == 1 and rng.random() < _OPEN:
        said = rng.choice(thing.kind.rumours).phrase
    hypothesis = sentence(f"{thing.name} {said}")
    reason = _REASONS[label] if rng.random() < (0.3 if slot.training else 0.7) else ""
    return {"premise": premise, "hypothesis": hypothesis, "label": label, "reason": reason}


def _identify(slot: Slot) -> Row:
    digits = slot.number(32)
    cuts = (0, 8, 12, 16, 20, 32)
    return {"uid": "-".join(digits[a:b] for a, b in pairwise(cuts))}


PARTS = (
    Part(
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
    ),
)
