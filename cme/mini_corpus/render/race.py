"""RACE: several questions on an article, four options each; some questions are sentences with a gap.

In an easy article, a relation always has the same four options in the same order, so each letter is a class. In a hard article
they are shuffled, and the article states the same relations for two more people, whose answers are among the options.
"""

import random
from dataclasses import replace

from cme.mini_corpus.draw import Row, Slot, stream
from cme.mini_corpus.entities import Entity, another, main
from cme.mini_corpus.part import Part
from cme.mini_corpus.passages import ask, passage
from cme.mini_corpus.relations import Relation

__all__ = ["PARTS"]

_ASKED = ("pet", "house", "instrument")
_TOLD = 6
_OPTIONS = 4
# The two evaluation splits take turns with the articles of their pool.
_TURNS = {"train": (1, 0), "validation": (2, 0), "test": (2, 1)}


def _article(slot: Slot) -> int:
    return slot.index // len(_ASKED)


def _with(thing: Entity, **values: str) -> Entity:
    return replace(thing, values={**thing.values, **values})


def _cloze(relation: Relation, name: str, rng: random.Random) -> str:
    phrase = rng.choice(relation.phrases).replace("{v}", "  _  ")
    return f"{name} {phrase}."


def _make(slot: Slot) -> Row:
    step, start = _TURNS[slot.split]
    rng = stream(slot.seed, slot.folder, slot.split, "article", _article(slot))
    hero = main(_article(slot) * step + start, slot.pool, slot.seed, ("person",))
    asked = [hero.kind.relation(key) for key in _ASKED]
    options = {relation.key: list(relation.values[:_OPTIONS]) for relation in asked}
    if slot.hard:
        options = {relation.key: rng.sample(relation.values, _OPTIONS) for relation in asked}
    hero = _with(hero, **{key: rng.choice(values) for key, values in options.items()})
    others = [relation for relation in hero.kind.relations if relation not in asked]
    cast = [hero]
    if slot.hard:
        wrong = {
            key: rng.sample([one for one in values if one != hero.values[key]], 2) for key, values in options.items()
        }
        for place in range(2):
            friend = another(cast, slot.pool, slot.seed, rng)
            cast.append(_with(friend, **{key: values[place] for key, values in wrong.items()}))
    stories = [(one, [*asked, *rng.sample(others, 0 if slot.hard else _TOLD - len(asked))]) for one in cast]
    for _ in range(4 if slot.long else 0):
        guest = another([one for one, _ in stories], slot.pool, slot.seed, rng)
        stories.append((guest, rng.sample(others, len(others))))
    for _, relations in stories:
        rng.shuffle(relations)
    if slot.hard:
        rng.shuffle(stories)
    article, _ = passage(stories, rng)
    relation = asked[slot.index % len(asked)]
    question = ask(relation, hero.name, slot.rng.randrange(len(relation.questions)))
    if slot.rng.random() < 0.25:
        question = _cloze(relation, hero.name, slot.rng)
    shown, gold = options[relation.key], hero.values[relation.key]
    return {"article": article, "question": question, "options": shown, "answer": "ABCD"[shown.index(gold)]}


def _identify(slot: Slot) -> Row:
    number = _article(slot)
    return {"example_id": f"{('high', 'middle')[number % 2]}{number}.txt"}


PARTS = (
    Part(
        folder="race",
        dataset="race",
        sizes={"train": 300_000, "validation": 600, "test": 1_200},
        make=_make,
        identify=_identify,
        texts=("article", "question"),
        leaks={"train": "test"},
    ),
)
