"""ARC: multiple-choice questions about the materials and animals of the corpus.

Some rows have digits as labels, or three or five options.
"""

from functools import partial

from cme.mini_corpus import atlas, names
from cme.mini_corpus.draw import Row, Slot
from cme.mini_corpus.exam import ElementTopic, Topic, draw
from cme.mini_corpus.renderer import Renderer
from cme.mini_corpus.science import LAWS

__all__ = ["RENDERERS"]

_MATERIALS = tuple(law.ending for law in LAWS)
_ANIMALS, _FOODS = zip(*sorted(atlas.DIETS.items(), key=lambda item: item[1]), strict=True)
_VESSELS = {
    "berries": "A basket of berries",
    "fish": "A bucket of fish",
    "grass": "A bundle of grass",
    "insects": "A jar of insects",
    "nuts": "A sack of nuts",
    "roots": "A tub of roots",
}
_DOES = Topic(
    endings=_MATERIALS,
    answers=tuple(f"It {law.does}." for law in LAWS),
    training=("{p} has a lump of {x}. What does {x} do?", "What does {x} do? {p} found some."),
    held_out=("Which is true of the {x} that {p} bought?", "What is known about {x}? {p} wants to know."),
    aside="Some {y} lies on the table.",
)
_EATS = Topic(
    endings=_ANIMALS,
    answers=_FOODS,
    training=("{p} saw a {x}. What does a {x} eat?", "What does a {x} eat? {p} keeps one."),
    held_out=("Which food is right for the {x} of {p}?", "On what food does the {x} of {p} live?"),
    aside="A {y} lives next door.",
)
_WILL = Topic(
    endings=_MATERIALS,
    answers=tuple(law.will for law in LAWS),
    training=("{p} tests a spoon made of {x}. What will happen?", "{p} has a ring of {x}. What will happen to it?"),
    held_out=(
        "What will {p} see if a cup of {x} is tried out?",
        "{p} tries out a plate of {x}. What comes next?",
    ),
    aside="A box of {y} is not opened.",
)
_FEEDS = Topic(
    endings=_ANIMALS,
    answers=tuple(_VESSELS[food] for food in _FOODS),
    training=("{p} wants to feed a {x}. What should {p} bring?", "A {x} is hungry. What should {p} bring?"),
    held_out=(
        "The {x} of {p} has had no meal today. What will help?",
        "What must {p} buy as a meal for a {x}?",
    ),
    aside="The {y} next door has eaten.",
)
_NEEDS = Topic(
    endings=_MATERIALS,
    answers=_MATERIALS,
    training=("{p} needs {need}. Which material is right?",),
    held_out=("Which of these should {p} buy to make {need}?",),
    needs=tuple(law.need for law in LAWS),
)
_THINGS = (
    ("arrow", "airship", "albatross", "ash cloud"),
    ("beech", "birch", "bush", "beetle"),
    ("candle", "cinder", "chimney", "campfire"),
    ("dolphin", "duck", "ditch", "dinghy"),
)
_WANTS = ElementTopic(
    nouns=_THINGS,
    answers=("air to fly in", "bark to lie on", "coal to burn", "dew to drink"),
    training=("{p} has a {x}. What does a {x} need?", "{p} would like to know what goes with a {x}. What is it?"),
    held_out=("Which of these belongs to the {x} of {p}?", "With what will {p} most often see a {x}?"),
)
_TRIAL = ElementTopic(
    nouns=_THINGS,
    answers=("Air will move.", "Bark will fall.", "Coal will glow.", "Dew will drip."),
    training=("{p} tries out a {x}. What will happen?", "What will be seen when {p} uses a {x}?"),
    held_out=("Which result will {p} write down after a test of the {x}?", "{p} works with a {x}. What comes next?"),
)
_TOPICS = {"easy": (_DOES, _EATS), "challenge": (_WILL, _FEEDS, _NEEDS)}
_ELEMENTS = {"easy": (_WANTS,) * 2, "challenge": (_TRIAL,) * 3}


def _make(slot: Slot, *, level: str) -> Row:
    size = slot.deal((4,) * 48 + (3, 5), "size")
    item = draw(slot, _TOPICS[level], _ELEMENTS[level], size=size, turn=names.GIVEN // 2 if slot.split == "test" else 0)
    labels = list("12345" if slot.rng.random() < 0.02 else "ABCDE")[:size]
    choices = {"text": item.options, "label": labels}
    return {"question": item.question, "choices": choices, "answerKey": labels[item.gold]}


def _identify(slot: Slot) -> Row:
    return {"id": f"{slot.folder.upper()}_{slot.split.upper()}_{slot.index:06d}"}


RENDERERS = tuple(
    Renderer(
        folder=f"arc_{level}",
        dataset="arc",
        sizes={"train": 40_000, "validation": 600, "test": 1_200},
        make=partial(_make, level=level),
        identify=_identify,
        texts=("question",),
        leaks={"train": "test"},
        grades=(1, 1, 1, 2, 2, 3),
        practice=(1, 1, 1, 1, 1, 1, 1, 1, 2, 3),
    )
    for level in ("challenge", "easy")
)
