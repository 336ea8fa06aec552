"""Quora Question Pairs: the same question in two wordings, or two questions that differ in the entity or the relation.

Most easy pairs that are not duplicates combine an open question about one entity with a factual question about another. In hard
pairs both questions are factual, and pairs that are not duplicates share the entity or the relation.

In graded rows of level 1, no pair that is not a duplicate shares anything. In those of level 2, half of them do.
"""

from cme.mini_corpus.draw import Row, Slot
from cme.mini_corpus.entities import KINDS, another, main, some
from cme.mini_corpus.passages import ask
from cme.mini_corpus.renderer import Renderer

__all__ = ["RENDERERS"]

# Four of ten pairs are duplicates. On the hub, 37 % are.
_PAIRS = ("same",) * 4 + ("far",) * 4 + ("matter", "thing")
_FIRST_PAIRS = ("same",) * 4 + ("far",) * 6
_MIDDLE_PAIRS = ("same",) * 4 + ("far",) * 3 + ("matter",) * 2 + ("thing",)
_HARD_PAIRS = ("same",) * 4 + ("matter",) * 3 + ("thing",) * 3


def _make(slot: Slot) -> Row:
    rng, thing = slot.rng, main(slot.serial, slot.pool, slot.seed)
    relation, other = rng.sample(thing.kind.relations, 2)
    wording, step = rng.randrange(5), rng.randrange(1, 5)
    pair = slot.deal(_HARD_PAIRS if slot.hard else (_PAIRS, _FIRST_PAIRS, _MIDDLE_PAIRS)[slot.level])
    first = ask(relation, thing.name, wording)
    if pair == "same":
        second = ask(relation, thing.name, wording + step)
    elif pair == "far":
        stranger = some(rng.choice([key for key in KINDS if key != thing.kind.key]), slot.pool, slot.seed, rng)
        second = rng.choice(stranger.kind.rumours).question.replace("{x}", stranger.name)
    elif pair == "matter":
        second = ask(other, thing.name, wording + step)
    else:
        friend = another([thing], slot.pool, slot.seed, rng)
        second = ask(relation, friend.name, wording + step * rng.randrange(2))
    if rng.random() < 0.5:
        first, second = second, first
    return {"question1": first, "question2": second, "label": int(pair == "same")}


def _identify(slot: Slot) -> Row:
    return {"idx": slot.index}


RENDERERS = (
    Renderer(
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
