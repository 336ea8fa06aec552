"""TweetEval emotion: short messages with users, hashtags, entities and literal line breaks.

Labels are anger, joy, optimism and sadness, in this order, which is not that of the six-way set.
"""

from cme.mini_corpus.draw import Row, Slot
from cme.mini_corpus.entities import main, some
from cme.mini_corpus.feelings import ANGER, JOY, OPTIMISM, SADNESS, feel
from cme.mini_corpus.part import Part

__all__ = ["PARTS"]

_FEELINGS = (ANGER, JOY, OPTIMISM, SADNESS)
_FRAMES = ("@user {m} {t}", "{m}! {t}", "{m}... @user {t}", r"{m}\n{t}", "{m} &amp; {t}")


def _make(slot: Slot) -> Row:
    rng, friend = slot.rng, main(slot.serial, slot.pool, slot.seed, ("person",))
    label = slot.deal(range(len(_FEELINGS)))
    said = feel(_FEELINGS, label, friend.name, rng, hard=slot.hard)
    town = some("town", slot.pool, slot.seed, rng).title.replace(" ", "")
    tags = [f"#{town}"] if slot.hard else [f"#{town}", f"#{rng.choice(_FEELINGS[label].words)}"]
    if slot.long:
        tags.append(f"#{rng.choice(('monday', 'weekend', 'life', 'thoughts', 'news'))}")
    text = rng.choice(_FRAMES).format(m=said[0].upper() + said[1:], t=" ".join(tags))
    return {"text": text, "label": label}


def _identify(slot: Slot) -> Row:
    return {}


PARTS = (
    Part(
        folder="tweet_emotion",
        dataset="tweet_emotion",
        sizes={"train": 100_000, "validation": 600, "test": 1_200},
        make=_make,
        identify=_identify,
        texts=("text",),
        leaks={"train": "test"},
        marks=(r"\n", "&amp;"),
    ),
)
