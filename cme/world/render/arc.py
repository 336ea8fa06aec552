"""ARC: multiple choice about the world's materials and animals. Evaluation asks known facts in words of its own.

Options stand in alphabetical order, as exam writers sort them: the right letter is balanced over the rows, yet an answer
late in the alphabet is more often a late letter. A quarter of the challenge rows has names as options, where order says nothing.
"""

from functools import partial

from cme.world import atlas, names
from cme.world.draw import Row, Slot, permute
from cme.world.part import Part
from cme.world.science import LAWS

__all__ = ["PARTS"]

_CORE = 60
_CORE_ROWS = 600
_DIETS = sorted(atlas.DIETS.items(), key=lambda item: item[1])
_TOPICS = ("stuff", "diet")
_STEMS = {
    ("easy", "stuff"): ("{p} has a lump of {x}. What does {x} do?", "What does {x} do? {p} found some."),
    ("easy", "diet"): ("{p} saw a {x}. What does a {x} eat?", "What does a {x} eat? {p} keeps one."),
    ("challenge", "stuff"): (
        "{p} tests a spoon made of {x}. What will happen?",
        "{p} has a ring of {x}. What will happen to it?",
    ),
    ("challenge", "diet"): (
        "{p} wants to feed a {x}. What should {p} bring?",
        "A {x} is hungry. What should {p} bring?",
    ),
    ("challenge", "need"): ("{p} needs {need}. Which material is right?",),
}
_HELD_OUT = {
    ("easy", "stuff"): ("Which is true of the {x} that {p} bought?", "What is known about {x}? {p} wants to know."),
    ("easy", "diet"): ("Which food is right for the {x} of {p}?", "On what food does the {x} of {p} live?"),
    ("challenge", "stuff"): (
        "What will {p} see if a cup of {x} is tried out?",
        "{p} tries out a plate of {x}. What comes next?",
    ),
    ("challenge", "diet"): (
        "The {x} of {p} has had no meal today. What will help?",
        "What must {p} buy as a meal for a {x}?",
    ),
    ("challenge", "need"): ("Which of these should {p} buy to make {need}?",),
}
_DISHES = {
    "berries": "A basket of berries",
    "fish": "A bucket of fish",
    "grass": "A bundle of grass",
    "insects": "A jar of insects",
    "nuts": "A sack of nuts",
    "roots": "A tub of roots",
}


def _place(slot: Slot) -> tuple[int, int]:
    """Fact and given name: the pair is unique in the split, and the first rows go round the core."""
    facts = 2 * names.MATERIALS * len(LAWS)
    if slot.training and slot.index >= _CORE_ROWS:
        turn, fact = divmod(slot.index - _CORE_ROWS, facts - _CORE)
        return fact + _CORE, turn + _CORE_ROWS // _CORE
    turn, fact = divmod(slot.index, _CORE)
    return fact, turn + (names.GIVEN // 2 if slot.split == "test" else 0)


def _make(slot: Slot, *, level: str) -> Row:
    rng = slot.rng
    fact, person = _place(slot)
    topic, number = _TOPICS[fact % 2], fact // 2
    front, law = divmod(number, len(LAWS))
    root = names.material(permute(front, names.MATERIALS, seed=slot.seed, key=f"arc/{topic}/{law}"), "shared")
    name = names.given(permute(person, names.GIVEN, seed=slot.seed, key=f"{slot.folder}/{slot.pool}"), slot.pool)
    if level == "challenge" and topic == "stuff" and slot.deal((0, 1), "need"):
        topic = "need"
    size = slot.deal((4,) * 48 + (3, 5), "size")
    shown = sorted([law, *rng.sample([other for other in range(len(LAWS)) if other != law], size - 1)])
    if topic == "stuff":
        thing = f"{root} {LAWS[law].ending}"
        texts = [LAWS[one].will if level == "challenge" else f"It {LAWS[one].does}." for one in shown]
    elif topic == "diet":
        thing = f"{root} {_DIETS[law][0]}"
        texts = [_DISHES[_DIETS[one][1]] if level == "challenge" else _DIETS[one][1] for one in shown]
    else:
        thing = ""
        rng.shuffle(shown)
        roots = [names.material(rng.randrange(names.MATERIALS), "shared") for _ in shown]
        texts = [f"{root if one == law else new} {LAWS[one].ending}" for one, new in zip(shown, roots, strict=True)]
    gold = shown.index(law)
    stem = rng.choice((_STEMS if slot.training else _HELD_OUT)[level, topic])
    labels = list("12345" if rng.random() < 0.02 else "ABCDE")[:size]
    question = stem.format(p=name, x=thing, need=LAWS[law].need)
    return {"question": question, "choices": {"text": texts, "label": labels}, "answerKey": labels[gold]}


def _identify(slot: Slot) -> Row:
    return {"id": f"{slot.folder.upper()}_{slot.split.upper()}_{slot.index:06d}"}


PARTS = tuple(
    Part(
        folder=f"arc_{level}",
        dataset="arc",
        sizes={"train": 40_000, "validation": 600, "test": 1_200},
        make=partial(_make, level=level),
        identify=_identify,
        texts=("question",),
        leaks={"train": "test"},
    )
    for level in ("challenge", "easy")
)
