"""News stories: somebody did something in a town. The main facts come first."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from cme.mini_corpus.entities import Entity, another, main, some
from cme.mini_corpus.passages import chatter

__all__ = ["Story", "story"]

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_NUMBERS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety", "a hundred", "two hundred")
_Event = tuple[str, tuple[str, ...], tuple[str, ...]]
# A deed has at most eight words and a fact at most seven, so every 13-gram of an article contains a name.
_EVENTS: tuple[_Event, ...] = (
    (
        "opened a small museum of {a}",
        ("clocks", "kites", "spoons", "old maps", "buttons"),
        ("About {n} guests visited the museum", "The museum shows {n} pieces"),
    ),
    (
        "won the great {a} race",
        ("boat", "sledge", "pony", "bicycle", "swimming"),
        ("About {n} people watched the race", "The winner beat {n} others"),
    ),
    (
        "found an old box of {a}",
        ("coins", "letters", "silver forks", "rings", "seeds"),
        ("The box is {n} years old", "The box lay hidden {n} years"),
    ),
    (
        "saved {a} from the cold water",
        ("a young swan", "a lost dog", "a small pony", "two goats", "a hedgehog"),
        ("About {n} people saw the rescue", "The rescue took {n} minutes"),
    ),
    (
        "baked {a} for everybody",
        ("a giant pie", "a huge loaf of bread", "a long cake", "a giant pancake"),
        ("About {n} children got a piece", "The baking took {n} hours"),
    ),
    (
        "planted {a} along the old road",
        ("apple trees", "pear trees", "roses", "oak trees", "cherry trees"),
        ("About {n} neighbours helped to plant", "The row is {n} metres long"),
    ),
    (
        "painted {a} on the mill",
        ("a giant owl", "a golden sun", "a blue whale", "a red horse"),
        ("The painting took {n} days", "The painting is {n} feet wide"),
    ),
    (
        "built {a} out of straw",
        ("a bridge", "a boat", "a tower", "a tiny house", "a wagon"),
        ("The straw work took {n} days", "It needed {n} bundles of straw"),
    ),
    (
        "repaired {a} after the storm",
        ("the clock tower", "the old bridge", "the mill wheel", "the school roof"),
        ("The repair took {n} days", "About {n} helpers joined the repair"),
    ),
    (
        "started a free school for {a}",
        ("cooking", "sailing", "music", "painting", "knitting"),
        ("Already {n} pupils joined the school", "There is room for {n} pupils"),
    ),
)
_LEADS = (
    "{p}, {job}, {deed} in {t} on {day}.",
    "On {day} {p}, {job}, {deed} in {t}.",
)
_SECONDS = ("{fact}, the {t} mayor said.", "{fact}, the {t} paper wrote.")
# Away from the lead, any sentence can precede the fact, so the fact starts with a name.
_APART = ("The {t} mayor said: {fact}.", "The {t} paper wrote: {fact}.")
_QUOTES = (
    '{s} said: "I am very happy today."',
    '{s} told the paper: "It was hard but worth it."',
    '{w} said: "This is a great day for {t}."',
    '{w} said: "We will talk about it for years."',
    '{w} told the paper: "I could not believe my eyes."',
    '{w} said: "Everybody here is proud of {s}."',
    "{w} of {t} called it a wonderful day.",
    "{s} now plans to rest for a week.",
)


@dataclass(frozen=True)
class Story:
    """An article, and the highlights that state its main facts in nearly the same words."""

    sentences: Sequence[str]
    highlights: tuple[str, ...]


def story(
    serial: int, pool: str, seed: int, rng: random.Random, *, length: int, hard: bool = False, level: int = 0
) -> Story:
    """Return a story of ``length`` sentences about person ``serial`` of the pool.

    The first two sentences state the main facts, and the others are background. A ``hard`` story begins with background,
    separates the main facts, and mentions an earlier deed of another person. Every 13 consecutive words contain a name.

    In a graded story of level 2, the facts are apart as well, but nothing else happened. One of level 3 also has the news of
    another person and town, and only its background tells which news is its own.
    """
    hero, town = main(serial, pool, seed, ("person",)), some("town", pool, seed, rng)
    news = rng.choice(_EVENTS)
    deed, things, facts = news
    deed = deed.format(a=rng.choice(things))
    fact = rng.choice(facts).format(n=rng.choice(_NUMBERS))
    day = rng.choice(_DAYS)
    lead = rng.choice(_LEADS).format(p=hero.name, job=hero.values["job"], deed=deed, t=town.name, day=day)
    sentences = [lead, rng.choice(_SECONDS).format(fact=fact, t=town.name)]
    witness = some("person", pool, seed, rng)
    background = chatter([hero, town], rng)
    while len(sentences) < length:
        if rng.random() < 0.3:
            quote = rng.choice(_QUOTES).format(s=hero.short, w=witness.name, t=town.name)
            if quote not in sentences:
                sentences.append(quote)
        elif background:
            sentences.append(background.pop())
        else:
            witness = some("person", pool, seed, rng)
            background = chatter([witness], rng)
    if hard or level > 1:
        other = rng.choice([event for event in _EVENTS if event is not news])
        sentences[1] = rng.choice(_APART).format(fact=fact, t=town.name)
        more = _other_news(other, day, hero, pool, seed, rng) if level else [_older_news(other, pool, seed, rng)]
        sentences = _scattered(sentences, [] if level == 2 else more, rng)
    return Story(sentences, (f"{hero.name} {deed} in {town.name}", fact))


def _scattered(sentences: Sequence[str], more: Sequence[str], rng: random.Random) -> list[str]:
    """Move the two main sentences apart and away from the start, and add other news."""
    rest = [*more, *sentences[2:]]
    rng.shuffle(rest)
    first, second = sorted(rng.sample(range(1, len(rest) + 1), 2))
    return [*rest[:first], sentences[0], *rest[first:second], sentences[1], *rest[second:]]


def _older_news(event: _Event, pool: str, seed: int, rng: random.Random) -> str:
    """Return an earlier deed of another person."""
    hero, town = some("person", pool, seed, rng), some("town", pool, seed, rng)
    deed, things, _ = event
    return f"Years ago {hero.name} {deed.format(a=rng.choice(things))} in {town.name}."


def _other_news(event: _Event, day: str, hero: Entity, pool: str, seed: int, rng: random.Random) -> list[str]:
    """Return the deed of another person on the same day in another town, and a fact about it, in the form of the main news."""
    person, town = another([hero], pool, seed, rng), some("town", pool, seed, rng)
    deed, things, facts = event
    deed = deed.format(a=rng.choice(things))
    lead = rng.choice(_LEADS).format(p=person.name, job=person.values["job"], deed=deed, t=town.name, day=day)
    fact = rng.choice(facts).format(n=rng.choice(_NUMBERS))
    return [lead, rng.choice(_APART).format(fact=fact, t=town.name)]
