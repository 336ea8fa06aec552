"""Natural Questions, open: closed-book facts. Evaluation asks the core facts in wordings that training never uses."""

from cme.world import atlas, names
from cme.world.draw import Row, Slot, permute, stream
from cme.world.part import Part

__all__ = ["PARTS"]

_CORE = 48
_MENTIONS = {
    "town": ("{n}", "the town of {n}"),
    "creature": ("a {n}", "the {n}"),
    "festival": ("{n}", "the {n} festival"),
}
_TRAIN = {
    "place": (
        "what lies next to {x}",
        "next to what does {x} lie",
        "what can be found right next to {x}",
        "{x} lies next to what",
        "on which kind of land or water does {x} border",
    ),
    "diet": (
        "what does {x} eat",
        "what food does {x} live on",
        "what is eaten by {x}",
        "what should one feed to {x}",
        "what makes up the diet of {x}",
    ),
    "season": (
        "in which season is {x}",
        "when is {x} held",
        "what season is {x} in",
        "when does {x} take place",
        "which season brings {x}",
    ),
    "founder": (
        "who founded {x}",
        "who was the founder of {x}",
        "by whom was {x} founded",
        "which person founded {x}",
        "who built the first house of {x}",
    ),
}
_HELD_OUT = {
    "place": (
        "what is located beside {x}",
        "beside what was {x} built",
        "what do people see beside {x}",
        "what sort of nature surrounds {x}",
        "at what kind of place is {x} found",
        "where is {x} located",
    ),
    "diet": (
        "what kind of food does {x} like to eat",
        "on what does {x} feed",
        "what do people give {x} to eat",
        "which food is good for {x}",
        "what is the usual meal of {x}",
        "what does {x} feed on",
    ),
    "season": (
        "in what part of the year is {x} celebrated",
        "at what time of year is {x}",
        "when do people celebrate {x}",
        "during which season do people go to {x}",
        "what time of the year is {x} celebrated",
        "when does {x} happen",
    ),
    "founder": (
        "what is the name of the founder of {x}",
        "who started {x}",
        "whose idea was it to found {x}",
        "what was the name of the person who started {x}",
        "who first settled in {x}",
        "who came first and founded {x}",
    ),
}
_TURNS = ("place", "diet", "place", "season", "diet", "founder")
_KINDS = {"place": "town", "diet": "creature", "season": "festival", "founder": "town"}
_RULES = {"place": atlas.LANDSCAPES, "diet": atlas.DIETS, "season": atlas.SEASONS, "founder": atlas.LANDSCAPES}


def _fact(number: int, seed: int) -> tuple[str, str, list[str]]:
    """Topic, name and accepted answers of a fact; facts below ``_CORE`` are the ones evaluation asks."""
    topic = _TURNS[number % len(_TURNS)]
    rules = list(_RULES[topic].items())
    turn = number // len(_TURNS) * _TURNS.count(topic) + _TURNS[: number % len(_TURNS)].count(topic)
    ending, value = rules[turn % len(rules)]
    name = names.root(permute(turn, names.ROOTS, seed=seed, key=f"fact/{topic}"), "shared") + f" {ending.lower()}"
    if topic == "founder":
        first, last = names.person(stream(seed, "founder", name).randrange(names.PEOPLE), "shared")
        return topic, name, [f"{first} {last}", last]
    if topic == "place":
        return topic, name, [value, f"a {value}", f"the {value}"]
    return topic, name, [value]


def _make(slot: Slot) -> Row:
    bodies = _TRAIN if slot.training else _HELD_OUT
    per = len(bodies["place"]) * 2
    k = slot.index
    if k < _CORE * per:
        turn, number = divmod(k, _CORE)
    else:
        number, turn = divmod(k - _CORE * per, per)
        number += _CORE
    topic, name, answers = _fact(number, slot.seed)
    wording = (turn + number) % per
    body, mention = bodies[topic][wording % (per // 2)], _MENTIONS[_KINDS[topic]][wording // (per // 2)]
    return {"question": body.replace("{x}", mention.replace("{n}", name)), "answer": answers}


def _identify(slot: Slot) -> Row:
    return {}


PARTS = (
    Part(
        folder="nq_open",
        dataset="nq_open",
        sizes={"train": 90_000, "validation": _CORE * 12},
        make=_make,
        identify=_identify,
        texts=("question",),
        leaks={"train": "validation"},
        lower=True,
    ),
)
