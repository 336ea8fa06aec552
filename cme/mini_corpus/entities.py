"""Entities of the corpus and their attributes, as a pure function of the seed, the kind, the pool and a number."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cme.mini_corpus import atlas, names
from cme.mini_corpus.creatures import CREATURE
from cme.mini_corpus.draw import permute, stream
from cme.mini_corpus.people import PERSON
from cme.mini_corpus.places import FESTIVAL, TOWN
from cme.mini_corpus.relations import Relation, Rumour
from cme.mini_corpus.rumours import CREATURE_RUMOURS, FESTIVAL_RUMOURS, PERSON_RUMOURS, TOWN_RUMOURS

__all__ = ["KINDS", "TURNS", "Entity", "Kind", "another", "entity", "main", "some"]


@dataclass(frozen=True)
class Kind:
    """A kind of entity, with its relations, open matters, last words of names (none for people) and number of entities."""

    key: str
    relations: tuple[Relation, ...]
    rumours: tuple[Rumour, ...]
    endings: tuple[str, ...]
    count: int

    def relation(self, key: str) -> Relation:
        """Return the relation with a name."""
        return next(relation for relation in self.relations if relation.key == key)


@dataclass(frozen=True)
class Entity:
    """One entity.

    Attributes:
        kind: kind of the entity.
        name: full name inside a sentence, such as ``"Balo Derrin"`` or ``"the dolor otter"``.
        short: name after the first mention.
        title: name as a heading.
        ending: last word of the name, which determines the closed-book fact. Empty for people.
        values: values by relation key.
    """

    kind: Kind
    name: str
    short: str
    title: str
    ending: str
    values: Mapping[str, str]

    def other(self, relation: Relation, rng: random.Random) -> str:
        """Return a value that this entity does not have."""
        true = self.values[relation.key]
        value = rng.choice(relation.values)
        while value == true:
            value = rng.choice(relation.values)
        return value


KINDS = {
    kind.key: kind
    for kind in (
        Kind("person", PERSON, PERSON_RUMOURS, (), names.PEOPLE),
        Kind("town", TOWN, TOWN_RUMOURS, tuple(atlas.LANDSCAPES), names.ROOTS * len(atlas.LANDSCAPES)),
        Kind("creature", CREATURE, CREATURE_RUMOURS, tuple(atlas.DIETS), names.ROOTS * len(atlas.DIETS)),
        Kind("festival", FESTIVAL, FESTIVAL_RUMOURS, tuple(atlas.SEASONS), names.ROOTS * len(atlas.SEASONS)),
    )
}
"""Maps names to kinds."""

# The share of a kind follows from its number of names, because a split names no entity twice. Eleven turns have no common
# factor with the blocks and rounds of the datasets, so every kind occurs with every label and round.
TURNS = (
    "person",
    "town",
    "person",
    "creature",
    "person",
    "town",
    "person",
    "creature",
    "person",
    "festival",
    "person",
)


def entity(kind: str, index: int, pool: str, seed: int) -> Entity:
    """Return the entity with a kind, pool and number. The number is below the kind's count."""
    definition = KINDS[kind]
    rng = stream(seed, "entity", kind, pool, index)
    values = {relation.key: rng.choice(relation.values) for relation in definition.relations}
    if not definition.endings:
        first, last = names.person(index, pool)
        return Entity(definition, f"{first} {last}", first, f"{first} {last}", "", values)
    front, back = divmod(index, len(definition.endings))
    ending = definition.endings[back]
    word = names.root(front, pool)
    title = f"{word.capitalize()} {ending}"
    if kind == "creature":
        return Entity(definition, f"the {word} {ending}", f"the {word} {ending}", title, ending, values)
    if kind == "festival":
        return Entity(definition, f"the {title} festival", f"the {title} festival", title, ending, values)
    return Entity(definition, title, title, title, ending, values)


def main(serial: int, pool: str, seed: int, turns: tuple[str, ...] = TURNS) -> Entity:
    """Return the main entity of row ``serial``. Serials of a pool have distinct entities; ValueError if a kind runs out."""
    kind = turns[serial % len(turns)]
    share = turns.count(kind)
    number = serial // len(turns) * share + turns[: serial % len(turns)].count(kind)
    count = KINDS[kind].count
    return entity(kind, permute(number, count, seed=seed, key=f"{kind}/{pool}"), pool, seed)


def some(kind: str, pool: str, seed: int, rng: random.Random) -> Entity:
    """Return a random entity of a kind, for a minor role."""
    return entity(kind, rng.randrange(KINDS[kind].count), pool, seed)


def another(things: Sequence[Entity], pool: str, seed: int, rng: random.Random) -> Entity:
    """Return an entity of the first one's kind whose short name differs from all of theirs."""
    candidate = some(things[0].kind.key, pool, seed, rng)
    while candidate.short in {thing.short for thing in things}:
        candidate = some(things[0].kind.key, pool, seed, rng)
    return candidate
