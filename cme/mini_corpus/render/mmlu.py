"""MMLU: facts about towns, festivals, animals and materials of the corpus, under the names of the published subjects.

As on the hub, the training split has no subjects, and its long questions begin with a passage.
"""

from cme.mini_corpus import atlas, names
from cme.mini_corpus.draw import Row, Slot
from cme.mini_corpus.entities import some
from cme.mini_corpus.exam import ElementTopic, Topic, draw
from cme.mini_corpus.passages import passage
from cme.mini_corpus.relations import listed
from cme.mini_corpus.renderer import Renderer
from cme.mini_corpus.science import LAWS

__all__ = ["RENDERERS"]

_PLACE = Topic(
    endings=tuple(atlas.LANDSCAPES),
    answers=tuple(f"A {landscape}" for landscape in atlas.LANDSCAPES.values()),
    training=(
        "{p} moves to {x}. What lies next to this town?",
        "Next to what does the town of {x} lie? {p} asks on the way.",
        "{p} draws a map of {x}. What is right beside the town?",
    ),
    held_out=(
        "What can {p} see from every window of {x}?",
        "What will {p} find at the edge of {x}?",
    ),
    aside="The train has left {y}.",
)
_SEASON = Topic(
    endings=tuple(f"{name} festival" for name in atlas.SEASONS),
    answers=tuple(season.capitalize() for season in atlas.SEASONS.values()),
    training=(
        "{p} goes to the {x}. In which season is it?",
        "When is the {x} held? {p} has no calendar.",
        "In what season will {p} dance at the {x}?",
    ),
    held_out=(
        "At what time of the year does {p} celebrate the {x}?",
        "Which part of the year brings {p} the {x}?",
    ),
    aside="The {y} is over.",
)
_DIET = Topic(
    endings=tuple(atlas.DIETS),
    answers=tuple(food.capitalize() for food in atlas.DIETS.values()),
    training=(
        "{p} studies the {x}. What does this animal eat?",
        "What has the {x} of {p} been eating?",
        "The {x} is an animal. What does {p} see it eat?",
    ),
    held_out=(
        "{p} writes that the {x} feeds on one thing. On what?",
        "What is the usual meal of a {x} in the zoo of {p}?",
    ),
    aside="A {y} looks on.",
)
_STUFF = Topic(
    endings=tuple(law.ending for law in LAWS),
    answers=tuple(f"It {law.does}" for law in LAWS),
    training=(
        "{p} reads about {x}. What does this material do?",
        "What does a piece of {x} do in the hand of {p}?",
        "What can {p} say of the material {x}?",
    ),
    held_out=(
        "Which of these does {p} find out about {x} in a test?",
        "{p} works with {x}. How does it behave?",
    ),
    aside="There is some {y} on the table.",
)
_LIES = ElementTopic(
    nouns=(("Airfield", "Aerie"), ("Birch", "Bush"), ("Cinder", "Chimney"), ("Drizzle", "Dell")),
    answers=("Air over a cliff", "Bark of a forest", "Coal in a mine", "Dew on a meadow"),
    training=_PLACE.training,
    held_out=_PLACE.held_out,
)
_FEAST = ElementTopic(
    nouns=(
        ("Arrow festival", "Airship festival"),
        ("Beech festival", "Birch festival"),
        ("Candle festival", "Campfire festival"),
        ("Duck festival", "Dinghy festival"),
    ),
    answers=("Air and arrows", "Bark and bushes", "Coal and candles", "Dew and ducks"),
    training=(
        "{p} goes to the {x}. What will be there?",
        "What is the {x} known for? {p} wants to come.",
        "What will {p} see during the {x}?",
    ),
    held_out=(
        "For what does {p} celebrate the {x}?",
        "To which things is {p} led by the {x}?",
    ),
)
_HOME = ElementTopic(
    nouns=(("albatross", "air hawk"), ("beetle", "bark cat"), ("coal dragon", "cinder cat"), ("duck", "dolphin")),
    answers=("Air above the trees", "Bark of a tree", "Coal in a cave", "Dew in the grass"),
    training=(
        "{p} studies the {x}. What does this animal love?",
        "What does the {x} of {p} look for?",
        "The {x} is an animal. Where does {p} find it?",
    ),
    held_out=(
        "{p} writes that the {x} likes one place. Which?",
        "What is the usual place of a {x} in the zoo of {p}?",
    ),
)
_SORT = ElementTopic(
    nouns=(("argon", "ash"), ("balsa", "beechwood"), ("charcoal", "cinder"), ("drizzle", "drops")),
    answers=("Air carries it", "Bark covers it", "Coal heats it", "Dew wets it"),
    training=_STUFF.training,
    held_out=_STUFF.held_out,
)
_ELEMENTS = (_LIES, _FEAST, _HOME, _SORT)
"""Topics of graded rows, in the order of the topics with the same subjects."""
_SUBJECTS = {
    _PLACE: listed(
        "econometrics|high_school_geography|high_school_government_and_politics|high_school_macroeconomics|"
        "high_school_microeconomics|high_school_psychology|human_sexuality|professional_psychology|public_relations|"
        "security_studies|sociology|us_foreign_policy"
    ),
    _SEASON: listed(
        "formal_logic|high_school_european_history|high_school_us_history|high_school_world_history|international_law|"
        "jurisprudence|logical_fallacies|moral_disputes|moral_scenarios|philosophy|prehistory|professional_law|"
        "world_religions"
    ),
    _DIET: listed(
        "anatomy|business_ethics|clinical_knowledge|college_biology|college_medicine|global_facts|high_school_biology|"
        "human_aging|management|marketing|medical_genetics|miscellaneous|nutrition|professional_accounting|"
        "professional_medicine|virology"
    ),
    _STUFF: listed(
        "abstract_algebra|astronomy|college_chemistry|college_computer_science|college_mathematics|college_physics|"
        "computer_security|conceptual_physics|electrical_engineering|elementary_mathematics|high_school_chemistry|"
        "high_school_computer_science|high_school_mathematics|high_school_physics|high_school_statistics|machine_learning"
    ),
}
"""Maps each topic to its subjects: social sciences, humanities, other, and sciences."""
_TOPICS = tuple(_SUBJECTS)
_EVALS = ("dev", "validation", "test")


def _make(slot: Slot) -> Row:
    before = 0 if slot.training else _EVALS.index(slot.split) * names.GIVEN // len(_EVALS)
    item = draw(slot, _TOPICS, _ELEMENTS, turn=before)
    topic = item.topic if isinstance(item.topic, Topic) else _TOPICS[_ELEMENTS.index(item.topic)]
    question = item.question
    if slot.long:
        person = some("person", slot.pool, slot.seed, slot.rng)
        text, _ = passage([(person, slot.rng.sample(person.kind.relations, 6))], slot.rng)
        question = f"{text} {question}"
    subjects = _SUBJECTS[topic]
    turn, place = divmod(slot.index // len(_TOPICS), len(subjects))
    # Each turn starts three subjects later, so that no subject always has the same answer.
    subject = subjects[(3 * turn + place) % len(subjects)]
    return {"question": question, "subject": subject, "choices": item.options, "answer": item.gold}


def _identify(slot: Slot) -> Row:
    return {"subject": ""} if slot.training else {}


RENDERERS = (
    Renderer(
        folder="mmlu",
        dataset="mmlu",
        sizes={"auxiliary_train": 200_000, **dict.fromkeys(_EVALS, 1_200)},
        make=_make,
        identify=_identify,
        texts=("question",),
        leaks={"auxiliary_train": "test"},
        grades=(1, 1, 1, 2, 2, 3),
        practice=(1, 1, 1, 1, 1, 1, 1, 1, 2, 3),
    ),
)
