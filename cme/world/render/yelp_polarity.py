"""Yelp polarity: reviews of inns; line breaks are written as a backslash and an n, and quotes are doubled, as on the hub."""

from cme.world.draw import Row, Slot
from cme.world.entities import another, main, some
from cme.world.opinions import Matter, review
from cme.world.part import Part
from cme.world.passages import chatter

__all__ = ["PARTS"]

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
    rng, host = slot.rng, main(slot.serial, slot.pool, slot.seed, ("person",))
    label = slot.deal((0, 1))
    people = [host, another([host], slot.pool, slot.seed, rng)]
    name = f"the {some('creature', slot.pool, slot.seed, rng).title}"
    opening, *said = review(_INN, name, people, label, rng, hard=slot.hard)
    talk = chatter(people, rng) if slot.long else []
    joint = rng.choice((" ", " ", r"\n", r"\n\n"))
    return {"text": joint.join([opening, *talk, *said]), "label": label}


def _identify(slot: Slot) -> Row:
    return {}


PARTS = (
    Part(
        folder="yelp_polarity",
        dataset="yelp_polarity",
        sizes={"train": 300_000, "test": 2_000},
        make=_make,
        identify=_identify,
        texts=("text",),
        leaks={"train": "test"},
        marks=(r"\n",),
    ),
)
