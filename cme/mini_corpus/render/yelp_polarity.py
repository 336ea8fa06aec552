r"""Yelp polarity: reviews of inns. As on the hub, line breaks are written as ``\n``, and quotes are doubled."""

from cme.mini_corpus.draw import Row, Slot
from cme.mini_corpus.opinions import Matter, review
from cme.mini_corpus.passages import chatter
from cme.mini_corpus.renderer import Renderer

__all__ = ["RENDERERS"]

_INN = Matter(
    (
        "we ate at {x} with {p} on Sunday",
        "{p} runs {x} by the bridge",
        "{x} belongs to {p} now",
        r'the sign at {x} says \""Come in to {p}\""',
    ),
    ("food", "service", "coffee", "soup", "room", "breakfast"),
    (
        (
            "{x} will never see me again",
            "{p} was rude and I want my money back",
            "{x} is not worth a visit",
            "{x} is the worst place in town",
        ),
        (
            "{x} will see me again very soon",
            "{p} was friendly and I left a big tip",
            "{x} is worth every visit",
            "{x} is the best place in town",
        ),
    ),
)


def _make(slot: Slot) -> Row:
    rng, opinion = slot.rng, review(slot, _INN, "the {}")
    talk = chatter(opinion.people, rng) if slot.long else []
    joint = rng.choice((" ", " ", r"\n", r"\n\n"))
    return {"text": joint.join([opinion.opening, *talk, *opinion.verdict]), "label": opinion.label}


def _identify(slot: Slot) -> Row:
    return {}


RENDERERS = (
    Renderer(
        folder="yelp_polarity",
        dataset="yelp_polarity",
        sizes={"train": 300_000, "test": 2_000},
        make=_make,
        identify=_identify,
        texts=("text",),
        leaks={"train": "test"},
        grades=(1, 2, 2, 3, 3),
        practice=(1, 1, 2, 2, 3),
        marks=(r"\n",),
    ),
)
