"""Reddit TL;DR: a post about a person, with a summary of the main event and its outcome.

The main event concerns the person whom the post asks about. In an easy post it follows the first sentence. In a hard post the
event and its outcome can be anywhere after the first sentence, and the post also mentions an earlier deed of another person.

A graded post of level 2 is a hard post without the other person. In one of level 3, the other person's deed is as recent and has
an outcome as well, so that only the title tells whom the post asks about.
"""

import random
from dataclasses import dataclass

from cme.mini_corpus.draw import Row, Slot
from cme.mini_corpus.entities import another, main, some
from cme.mini_corpus.passages import chatter
from cme.mini_corpus.relations import listed
from cme.mini_corpus.renderer import Renderer

__all__ = ["RENDERERS"]


@dataclass(frozen=True)
class _Event:
    """An event: its forum, a deed with ``{a}`` for one of the things, and an outcome with ``{s}`` for a name."""

    forum: str
    deed: str
    things: tuple[str, ...]
    outcome: str


_EVENTS = (
    _Event("advice", "lost my {a}", listed("bicycle|umbrella|camera|guitar"), "{s} must buy me a new one"),
    _Event("neighbors", "put {a} in our garden", listed("a goat|a pony|a parrot|a goose"), "{s} will not take it back"),
    _Event("relationships", "forgot our {a}", listed("dinner|dance|boat trip|party"), "{s} is sorry and wants to talk"),
    _Event("jobs", "hired me as {a}", listed("a baker|a cook|a tailor|a painter"), "{s} does not pay me"),
    _Event("pets", "found my lost {a}", listed("cat|dog|rabbit|hamster"), "{s} deserves a nice present"),
    _Event(
        "cooking", "burned {a} for our party", listed("the soup|the cake|the pie|the fish"), "{s} wants to cook again"
    ),
    _Event("travel", "asked me to go abroad by {a}", listed("boat|train|bus|ferry"), "{s} needs an answer from me"),
    _Event("roommates", "painted our {a} black", listed("kitchen|door|hall|table"), "{s} thinks that I like it"),
    _Event("school", "copied my {a}", listed("homework|essay|drawing|poem"), "{s} got the better mark"),
    _Event("money", "sold my {a} to a stranger", listed("coat|tent|watch|radio"), "{s} says that it was a mistake"),
)
_TITLES = ("What should I do about {p}?", "I need help with {p}", "A question about {p}", "Trouble with {p}")
_STARTS = (
    "{s} and I ({n}F) live next door in {t}.",
    "{s} and I ({n}M) met at school in {t}.",
    "{s} is the only one whom I ({n}M) know in {t}.",
    "{t} is where {s} and I ({n}F) grew up.",
)
_TIMES = ("Last week", "Two days ago", "This morning", "Yesterday")


def _deed(event: _Event, rng: random.Random) -> str:
    return event.deed.format(a=rng.choice(event.things))


def _make(slot: Slot) -> Row:
    rng, hero = slot.rng, main(slot.serial, slot.pool, slot.seed, ("person",))
    event, town = rng.choice(_EVENTS), some("town", slot.pool, slot.seed, rng)
    deed, outcome = _deed(event, rng), event.outcome.format(s=hero.short)
    cast = [hero]
    for _ in range(3 if slot.long else 1):
        cast.append(another(cast, slot.pool, slot.seed, rng))
    start = rng.choice(_STARTS).format(n=rng.randrange(18, 60), s=hero.short, t=town.name)
    lead = f"{rng.choice(_TIMES)} {hero.name} {deed}."
    talk = chatter(cast, rng) if slot.long else chatter([hero], rng)[: 3 if slot.hard or slot.level == 2 else 1]
    end = f"Now {outcome}."
    if slot.hard or slot.level == 2:
        body = [start, *talk]
        if slot.hard:
            other = rng.choice([one for one in _EVENTS if one is not event])
            time = rng.choice(_TIMES) if slot.level else "Years ago"
            body.append(f"{time} {cast[1].name} {_deed(other, rng)}.")
        if slot.level == 3:
            body.append(f"Now {other.outcome.format(s=cast[1].short)}.")
        rng.shuffle(body)
        for fact in (lead, end):
            body.insert(rng.randrange(1, len(body) + 1), fact)
    else:
        body = [start, lead, *talk, end]
    if rng.random() < 0.02:
        body.insert(0, "TL;DR: is at the end.")
    break_ = "\n\n" if rng.random() < 0.2 else " "
    post = body[0] + break_ + " ".join(body[1:])
    title = rng.choice(_TITLES).format(p=hero.name)
    prompt = f"SUBREDDIT: r/{event.forum}\n\nTITLE: {title}\n\nPOST: {post}\n\nTL;DR:"
    return {"prompt": prompt, "completion": f" {hero.name} {deed} and now {outcome}."}


def _identify(slot: Slot) -> Row:
    return {}


RENDERERS = (
    Renderer(
        folder="tldr",
        dataset="tldr",
        sizes={"train": 300_000, "validation": 1_000, "test": 1_000},
        make=_make,
        identify=_identify,
        texts=("prompt",),
        leaks={"train": "test"},
        grades=(1, 2, 2, 3, 3),
        practice=(1, 1, 2, 2, 3),
        marks=("SUBREDDIT: r/", "TITLE: ", "POST: ", "TL;DR:"),
    ),
)
