"""RACE: several questions about an article, with four options each. Some questions are sentences with a gap.

In an easy article, a relation always has the same four options in the same order, so each letter is a class. In a hard article
they are shuffled, and the article states the same relations for two more people, whose answers are among the options. In graded
articles of levels 1 and 2, the options belong to the elements in their order. At level 1, all answers of an article belong to one
element, which the question names.
"""

import random
from dataclasses import replace

from cme.mini_corpus.draw import Row, Slot, stream
from cme.mini_corpus.entities import Entity, another, main
from cme.mini_corpus.exam import ELEMENTS, HINT
from cme.mini_corpus.passages import ask, passage
from cme.mini_corpus.relations import Relation
from cme.mini_corpus.renderer import Renderer

__all__ = ["RENDERERS"]

_TARGETS = ("pet", "house", "instrument")
# Answers in graded articles of levels 1 and 2, in the order of the elements (see ``exam``).
_ELEMENT_OPTIONS = {
    "pet": ["an air hawk", "a bark beetle", "a coal lizard", "a dew frog"],
    "house": ["air grey", "bark brown", "coal black", "dew white"],
    "instrument": ["the air flute", "the bark drum", "the coal bell", "the dew harp"],
}
_FACTS = 6
_OPTIONS = 4
# The two evaluation splits use the articles of their pool alternately.
_TURNS = {"train": (1, 0), "validation": (2, 0), "test": (2, 1)}


def _article(slot: Slot) -> int:
    return slot.index // len(_TARGETS)


def _with(thing: Entity, **values: str) -> Entity:
    return replace(thing, values={**thing.values, **values})


def _cloze(relation: Relation, name: str, rng: random.Random) -> str:
    phrase = rng.choice(relation.phrases).replace("{v}", "  _  ")
    return f"{name} {phrase}."


def _make(slot: Slot) -> Row:
    step, start = _TURNS[slot.split]
    rng = stream(slot.seed, slot.folder, slot.split, "article", _article(slot))
    hero = main(_article(slot) * step + start, slot.pool, slot.seed, ("person",))
    targets = [hero.kind.relation(key) for key in _TARGETS]
    options = {relation.key: list(relation.values[:_OPTIONS]) for relation in targets}
    if slot.hard:
        options = {relation.key: rng.sample(relation.values, _OPTIONS) for relation in targets}
    if slot.level in (1, 2):
        options = _ELEMENT_OPTIONS
    if slot.level == 1:
        place = slot.deal(range(_OPTIONS), "element", every=len(_TARGETS))
        hero = _with(hero, **{key: values[place] for key, values in options.items()})
    else:
        hero = _with(hero, **{key: rng.choice(values) for key, values in options.items()})
    others = [relation for relation in hero.kind.relations if relation not in targets]
    cast = [hero]
    if slot.hard:
        wrong = {
            key: rng.sample([one for one in values if one != hero.values[key]], 2) for key, values in options.items()
        }
        for place in range(2):
            friend = another(cast, slot.pool, slot.seed, rng)
            cast.append(_with(friend, **{key: values[place] for key, values in wrong.items()}))
    stories = [(one, [*targets, *rng.sample(others, 0 if slot.hard else _FACTS - len(targets))]) for one in cast]
    for _ in range(4 if slot.long else 0):
        guest = another([one for one, _ in stories], slot.pool, slot.seed, rng)
        stories.append((guest, rng.sample(others, len(others))))
    for _, relations in stories:
        rng.shuffle(relations)
    if slot.hard:
        rng.shuffle(stories)
    article, _ = passage(stories, rng)
    relation = targets[slot.index % len(targets)]
    question = ask(relation, hero.name, slot.rng.randrange(len(relation.questions)))
    if slot.rng.random() < 0.25:
        question = _cloze(relation, hero.name, slot.rng)
    shown, gold = options[relation.key], hero.values[relation.key]
    if slot.level == 1:
        question += f" {HINT.format(ELEMENTS[shown.index(gold)])}"
    return {"article": article, "question": question, "options": shown, "answer": "ABCD"[shown.index(gold)]}


def _identify(slot: Slot) -> Row:
    number = _article(slot)
    return {"example_id": f"{('high', 'middle')[number % 2]}{number}.txt"}


RENDERERS = (
    Renderer(
        folder="race",
        dataset="race",
        sizes={"train": 300_000, "validation": 600, "test": 1_200},
        make=_make,
        identify=_identify,
        texts=("article", "question"),
        leaks={"train": "test"},
        grades=(1, 1, 1, 2, 2, 3),
        practice=(1, 1, 1, 1, 1, 1, 1, 1, 2, 3),
        together=len(_TARGETS),
    ),
)
