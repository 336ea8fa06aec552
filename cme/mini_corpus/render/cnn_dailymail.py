"""CNN / Daily Mail: a news story and its highlights, joined by newlines. As on the hub, some highlights end in " ."."""

from cme.mini_corpus.draw import Row, Slot
from cme.mini_corpus.news import story
from cme.mini_corpus.renderer import Renderer

__all__ = ["RENDERERS"]


def _make(slot: Slot) -> Row:
    rng = slot.rng
    length = rng.randrange(38, 70) if slot.long else rng.randrange(5, 9)
    news = story(slot.serial, slot.pool, slot.seed, rng, length=length, hard=slot.hard, level=slot.level)
    end = rng.choice((" .", "."))
    return {"article": " ".join(news.sentences), "highlights": "\n".join(bullet + end for bullet in news.highlights)}


def _identify(slot: Slot) -> Row:
    return {"id": slot.number(40)}


RENDERERS = (
    Renderer(
        folder="cnn_dailymail",
        dataset="cnn_dailymail",
        sizes={"train": 300_000, "validation": 1_000, "test": 1_000},
        make=_make,
        identify=_identify,
        texts=("article",),
        leaks={"train": "test"},
        grades=(1, 2, 2, 3, 3),
        practice=(1, 1, 2, 2, 3),
    ),
)
