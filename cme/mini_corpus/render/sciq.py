"""SciQ: a science question, its answer, three distractors and a text that contains the answer. Some rows have no text.

The distractors of easy rows have another type than the answer. Those of hard rows have the same type, and the text states them
about other entities. Rows without a text ask for a fact that follows from the last word of a name (see ``atlas``).
"""

from cme.mini_corpus import atlas
from cme.mini_corpus.draw import Row, Slot
from cme.mini_corpus.entities import Entity, another, main
from cme.mini_corpus.passages import ask, passage
from cme.mini_corpus.renderer import Renderer

__all__ = ["RENDERERS"]

_NO_TEXT = 0.2
_RULES = {
    "town": (atlas.LANDSCAPES, ("What lies next to {x}?", "{x} lies next to what?", "What can be found beside {x}?")),
    "creature": (atlas.DIETS, ("What does {x} eat?", "What food does {x} live on?", "What is the food of {x}?")),
    "festival": (atlas.SEASONS, ("In which season is {x}?", "What season is {x} in?", "Which season has {x}?")),
}


def _rule(slot: Slot, thing: Entity) -> tuple[str, str, list[str]]:
    """Return the question, answer and distractors of a row that asks about the last word of a name."""
    rule, questions = _RULES[thing.kind.key]
    answer = rule[thing.ending]
    wrong = slot.rng.sample([value for value in rule.values() if value != answer], 3)
    return slot.rng.choice(questions).replace("{x}", thing.name), answer, wrong


def _support(slot: Slot, thing: Entity) -> tuple[str, str, list[str], str]:
    """Return the question, answer and distractors of a row with a text, and the text."""
    rng = slot.rng
    target, beside, *rest = rng.sample(thing.kind.relations, len(thing.kind.relations))
    answer = thing.values[target.key]
    stories = [(thing, rng.sample([target, beside], 2))]
    for _ in range(2 if slot.hard else 4 if slot.long else 0):
        friend = another([one for one, _ in stories], slot.pool, slot.seed, rng)
        stories.append((friend, rng.sample([target, beside] if slot.hard else rest, 2)))
    if slot.hard:
        near = [friend.values[target.key] for friend, _ in stories[1:]]
        rng.shuffle(stories)
        wrong = list(dict.fromkeys(value for value in near if value != answer))
        spare = [value for value in target.values if value not in (answer, *wrong)]
        wrong += rng.sample(spare, 3 - len(wrong))
    else:
        wrong = [rng.choice(relation.values) for relation in rest[:3]]
    return ask(target, thing.name, rng.randrange(5)), answer, wrong, passage(stories, rng)[0]


def _make(slot: Slot) -> Row:
    rng, thing = slot.rng, main(slot.serial, slot.pool, slot.seed)
    support = ""
    if thing.ending and rng.random() < _NO_TEXT:
        question, answer, wrong = _rule(slot, thing)
    else:
        question, answer, wrong, support = _support(slot, thing)
    rng.shuffle(wrong)
    return {
        "question": question,
        "distractor3": wrong[2],
        "distractor1": wrong[0],
        "distractor2": wrong[1],
        "correct_answer": answer,
        "support": support,
    }


def _identify(slot: Slot) -> Row:
    return {}


RENDERERS = (
    Renderer(
        folder="sciq",
        dataset="sciq",
        sizes={"train": 200_000, "validation": 1_000, "test": 1_000},
        make=_make,
        identify=_identify,
        texts=("question",),
        leaks={"train": "test"},
    ),
)
