"""CNN / Daily Mail: a news story and its highlights, newline-joined; some end in a space and a full stop, as on the hub."""

from cme.mini_corpus.draw import Row, Slot
from cme.mini_corpus.news import story
from cme.mini_corpus.part import Part

__all__ = ["PARTS"]


def _make(slot: Slot) -> Row:
    rng = slot.rng
    length = rng.randrange(38, 70) if slot.long else rng.randrange(5, 9)
    told = story(slot.serial, slot.pool, slot.seed, rng, length=length, hard=slot.hard)
    end = rng.choice((" .", "."))
    return {"article": " ".join(told.sentences), "highlights": "\n".join(bullet + end for bullet in told.highlights)}


def _identify(slot: Slot) -> Row:
    return {"id": slot.number(40)}


PARTS = (
    Part(
        folder="cnn_dailymail",
        dataset="cnn_dailymail",
        sizes={"train": 300_000, "validation": 1_000, "test": 1_000},
        make=_make,
        identify=_identify,
        texts=("article",),
        leaks={"train": "test"},
    ),
)
