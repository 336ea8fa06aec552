"""Quora Question Pairs: the same question in two wordings, or one about another thing or another matter.

As on the hub, some pairs are easy to tell apart: half of those that differ set a question of fact beside an open one.
"""

from cme.world.draw import Row, Slot
from cme.world.entities import main, some
from cme.world.part import Part
from cme.world.passages import ask

__all__ = ["PARTS"]

# Four of ten pairs are duplicates, near the hub's 37 %.
_PAIRS = ("same",) * 4 + ("open",) * 3 + ("matter", "matter", "thing")


def _make(slot: Slot) -> Row:
    rng, thing = slot.rng, main(slot.serial, slot.pool, slot.seed)
    relation, other = rng.sample(thing.kind.relations, 2)
    wording, step = rng.randrange(5), rng.randrange(1, 5)
    pair = slot.deal(_PAIRS)
    first = ask(relation, thing.name, wording)
    if pair == "same":
        second = ask(relation, thing.name, wording + step)
    elif pair == "open":
        second = rng.choice(thing.kind.rumours).question.replace("{x}", thing.name)
    elif pair == "matter":
        second = ask(other, thing.name, wording + step)
    else:
        second = ask(relation, some(thing.kind.key, slot.pool, slot.seed, rng).name, wording + step * rng.randrange(2))
    if rng.random() < 0.5:
        first, second = second, first
    return {"question1": first, "question2": second, "label": int(pair == "same")}


def _identify(slot: Slot) -> Row:
    return {"idx": slot.index}


PARTS = (
    Part(
        folder="qqp",
        dataset="qqp",
        sizes={"train": 360_000, "validation": 2_000},
        make=_make,
        identify=_identify,
        texts=("question1", "question2"),
        leaks={"train": "validation"},
        swap=("question1", "question2"),
        unlabelled={"label": -1},
    ),
)
