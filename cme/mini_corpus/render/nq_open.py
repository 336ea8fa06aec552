"""Natural Questions (open): closed-book facts. Evaluation uses wordings that training never uses."""

from cme.mini_corpus import atlas, names
from cme.mini_corpus.draw import Row, Slot, stream
from cme.mini_corpus.facts import CORE, Topic, recall
from cme.mini_corpus.renderer import Renderer

__all__ = ["RENDERERS"]

_PLACE = Topic(
    "place",
    atlas.LANDSCAPES,
    ("{n}", "the town of {n}"),
    (
        "what lies next to {x}",
        "next to what does {x} lie",
        "what can be found right next to {x}",
        "{x} lies next to what",
        "on which kind of land or water does {x} border",
    ),
    (
        "what is located beside {x}",
        "beside what was {x} built",
        "what do people see beside {x}",
        "what sort of nature surrounds {x}",
        "at what kind of place is {x} found",
        "where is {x} located",
    ),
)
_DIET = Topic(
    "diet",
    atlas.DIETS,
    ("a {n}", "the {n}"),
    (
        "what does {x} eat",
        "what food does {x} live on",
        "what is eaten by {x}",
        "what should one feed to {x}",
        "what makes up the diet of {x}",
    ),
    (
        "what kind of food does {x} like to eat",
        "on what does {x} feed",
        "what do people give {x} to eat",
        "which food is good for {x}",
        "what is the usual meal of {x}",
        "what does {x} feed on",
    ),
)
_SEASON = Topic(
    "season",
    atlas.SEASONS,
    ("{n}", "the {n} festival"),
    (
        "in which season is {x}",
        "when is {x} held",
        "what season is {x} in",
        "when does {x} take place",
        "which season brings {x}",
    ),
    (
        "in what part of the year is {x} celebrated",
        "at what time of year is {x}",
        "when do people celebrate {x}",
        "during which season do people go to {x}",
        "what time of the year is {x} celebrated",
        "when does {x} happen",
    ),
)
_FOUNDER = Topic(
    "founder",
    atlas.LANDSCAPES,
    ("{n}", "the town of {n}"),
    (
        "who founded {x}",
        "who was the founder of {x}",
        "by whom was {x} founded",
        "which person founded {x}",
        "who built the first house of {x}",
    ),
    (
        "what is the name of the founder of {x}",
        "who started {x}",
        "whose idea was it to found {x}",
        "what was the name of the person who started {x}",
        "who first settled in {x}",
        "who came first and founded {x}",
    ),
)
_TOPICS = (_PLACE, _DIET, _PLACE, _SEASON, _DIET, _FOUNDER)


def _make(slot: Slot) -> Row:
    fact = recall(slot, _TOPICS, key="fact", spell=str.lower)
    answers = [fact.value]
    if fact.topic is _PLACE:
        answers += [f"a {fact.value}", f"the {fact.value}"]
    elif fact.topic is _FOUNDER:
        first, last = names.person(stream(slot.seed, "founder", fact.name).randrange(names.PEOPLE), "shared")
        answers = [f"{first} {last}", last]
    return {"question": fact.question, "answer": answers}


def _identify(slot: Slot) -> Row:
    return {}


RENDERERS = (
    Renderer(
        folder="nq_open",
        dataset="nq_open",
        sizes={"train": 90_000, "validation": CORE * 12},
        make=_make,
        identify=_identify,
        texts=("question",),
        leaks={"train": "validation"},
        lower=True,
    ),
)
