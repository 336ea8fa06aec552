"""The things of the world, each with its attributes: a pure function of the seed, the kind, the pool and a number."""

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
    """A kind of thing: what is told and rumoured of it, last words of its names (none for people), how many there are."""

    key: str
    relations: tuple[Relation, ...]
    rumours: tuple[Rumour, ...]
    endings: tuple[str, ...]
    count: int

    def relation(self, key: str) -> Relation:
        """The relation of that name."""
        return next(relation for relation in self.relations if relation.key == key)


@dataclass(frozen=True)
class Entity:
    """One thing.

    Attributes:
        kind: what it is.
        name: full name as it stands inside a sentence, such as ``"Balo Derrin"`` or ``"the dolor otter"``.
        short: name after the first mention.
        title: name as a heading.
        ending: the word that tells its closed-book fact, empty for people.
        values: relation key → value.
    """

    kind: Kind
    name: str
    short: str
    title: str
    ending: str
    values: Mapping[str, str]

    def other(self, relation: Relation, rng: random.Random) -> str:
        """A value that this thing does not have."""
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
"""All kinds by name."""

# A kind's share follows from how many names it has: each split must fill its size without naming a thing twice. Eleven
# turns share no factor with the blocks and rounds of the datasets, so every kind meets every label and round.
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
    """The thing of that kind, pool and number (below the kind's count)."""
    found = KINDS[kind]
    rng = stream(seed, "entity", kind, pool, index)
    values = {relation.key: rng.choice(relation.values) for relation in found.relations}
    if not found.endings:
        first, last = names.person(index, pool)
        return Entity(found, f"{first} {last}", first, f"{first} {last}", "", values)
    front, back = divmod(index, len(found.endings))
    ending = found.endings[back]
    word = names.root(front, pool)
    title = f"{word.capitalize()} {ending}"
    if kind == "creature":
        return Entity(found, f"the {word} {ending}", f"the {word} {ending}", title, ending, values)
    if kind == "festival":
        return Entity(found, f"the {title} festival", f"the {title} festival", title, ending, values)
    return Entity(found, title, title, title, ending, values)


def main(serial: int, pool: str, seed: int, turns: tuple[str, ...] = TURNS) -> Entity:
    """The main thing of row ``serial``: no two serials of a pool share it, until a kind runs out (ValueError)."""
    kind = turns[serial % len(turns)]
    share = turns.count(kind)
    number = serial // len(turns) * share + turns[: serial % len(turns)].count(kind)
    count = KINDS[kind].count
    return entity(kind, permute(number, count, seed=seed, key=f"{kind}/{pool}"), pool, seed)


def some(kind: str, pool: str, seed: int, rng: random.Random) -> Entity:
    """Any thing of that kind, for a supporting part."""
    return entity(kind, rng.randrange(KINDS[kind].count), pool, seed)


def another(things: Sequence[Entity], pool: str, seed: int, rng: random.Random) -> Entity:
    """A thing of the first one's kind whose short name is none of theirs."""
    found = some(things[0].kind.key, pool, seed, rng)
    while found.short in {thing.short for thing in things}:
        found = some(things[0].kind.key, pool, seed, rng)
    return found
