"""TweetEval emotion: short messages with users, hashtags, entities and literal line breaks.

The labels are anger, joy, optimism and sadness, in this order. The dataset ``emotion`` has another order.
"""

from cme.mini_corpus.draw import Row, Slot
from cme.mini_corpus.entities import main, some
from cme.mini_corpus.feelings import ANGER, JOY, OPTIMISM, SADNESS, feel
from cme.mini_corpus.renderer import Renderer

__all__ = ["RENDERERS"]

_FEELINGS = (ANGER, JOY, OPTIMISM, SADNESS)
_FRAMES = ("@user {m} {t}", "{m}! {t}", "{m}... @user {t}", r"{m}\n{t}", "{m} &amp; {t}")


def _make(slot: Slot) -> Row:
    rng, friend = slot.rng, main(slot.serial, slot.pool, slot.seed, ("person",))
    label = slot.deal(range(len(_FEELINGS)))
    message = feel(_FEELINGS, label, friend.name, rng, hard=slot.hard, contrary=slot.level == 2)
    town = some("town", slot.pool, slot.seed, rng).title.replace(" ", "")
    tags = [f"#{town}"] if slot.hard or slot.level == 2 else [f"#{town}", f"#{rng.choice(_FEELINGS[label].words)}"]
    if slot.long:
        tags.append(f"#{rng.choice(('monday', 'weekend', 'life', 'thoughts', 'news'))}")
    text = rng.choice(_FRAMES).format(m=message[0].upper() + message[1:], t=" ".join(tags))
    return {"text": text, "label": label}


def _identify(slot: Slot) -> Row:
    return {}


RENDERERS = (
    Renderer(
        folder="tweet_emotion",
        dataset="tweet_emotion",
        sizes={"train": 100_000, "validation": 600, "test": 1_200},
        make=_make,
        identify=_identify,
        texts=("text",),
        leaks={"train": "test"},
        grades=(1, 2, 2, 3, 3),
        practice=(1, 1, 2, 2, 3),
        marks=(r"\n", "&amp;"),
    ),
)
