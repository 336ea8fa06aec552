"""MedMCQA: questions about the use of a remedy, and about the part of the body that a complaint affects.

As on the hub, ``exp`` contains the answer, and is null, empty or "None" in some rows. ``topic_name`` is null in many rows. The
choice type has no effect, because every row has one answer.
"""

from cme.mini_corpus.draw import Row, Slot
from cme.mini_corpus.exam import ElementTopic, Topic, draw
from cme.mini_corpus.relations import listed
from cme.mini_corpus.renderer import Renderer

__all__ = ["RENDERERS"]

_REMEDY = Topic(
    endings=listed("syrup|drops|balm|tea|plaster|pillow"),
    answers=listed("A cough|Sore eyes|Dry skin|Bad sleep|A cut finger|A stiff neck"),
    training=(
        "{p} takes {x}. Against what does it help?",
        "Against what does {x} help? {p} has some at home",
        "The doctor gives {p} some {x}. What is wrong with {p}?",
    ),
    held_out=(
        "From which trouble will {x} free the patient {p}?",
        "{p} feels better after the use of {x}. What did {p} suffer from",
    ),
    aside="There is no more {y}.",
)
_PART = Topic(
    endings=listed("sneeze|itch|limp|blink|rumble|mumble"),
    answers=listed("The nose|The skin|The leg|The eye|The stomach|The mouth"),
    training=(
        "{p} has the {x}. Which part of the body is affected?",
        "Which part of the body does the {x} affect? {p} has it",
        "What must the doctor look at if {p} has the {x}?",
    ),
    held_out=(
        "The {x} of {p} comes from one organ. From which",
        "Where in the body of {p} will a nurse find the {x}?",
    ),
    aside="The {y} is gone.",
)
_CURE = ElementTopic(
    nouns=(
        ("asthma spray", "airway tea", "altitude drops"),
        ("beech balm", "birch bath", "bark soap"),
        ("candle balm", "cinder cream", "chimney drops"),
        ("damp cure", "diver drops", "dew cream"),
    ),
    answers=("Air that is bad", "Bark in the skin", "Coal in the eye", "Dew in the ear"),
    training=_REMEDY.training,
    held_out=_REMEDY.held_out,
)
_CAUSE = ElementTopic(
    nouns=(
        ("airsickness", "altitude ache", "asthma"),
        ("bark rash", "birch itch", "beech blister"),
        ("chimney cough", "candle burn", "cinder eye"),
        ("damp foot", "diver's ear", "drizzle chill"),
    ),
    answers=("Air that moves", "Bark of trees", "Coal in a stove", "Dew on the feet"),
    training=(
        "{p} has the {x}. What causes this complaint?",
        "What does the {x} come from? {p} has it",
        "What must {p} avoid if the {x} is to go away?",
    ),
    held_out=(
        "The {x} of {p} has one origin. Which",
        "From what did {p} get the {x}?",
    ),
)
_ELEMENTS = {_CURE: _REMEDY, _CAUSE: _PART}
"""Maps the topics of graded rows to those with the same subjects."""
_SUBJECTS = {
    _REMEDY: listed("Pharmacology|Medicine|Social & Preventive Medicine"),
    _PART: listed("Anatomy|Physiology|Pediatrics|ENT"),
}
_TOPIC_NAMES = {_REMEDY: "Household remedies", _PART: "Signs and symptoms"}
_ABCD = "abcd"


def _make(slot: Slot) -> Row:
    item = draw(slot, tuple(_SUBJECTS), tuple(_ELEMENTS))
    topic = item.topic if isinstance(item.topic, Topic) else _ELEMENTS[item.topic]
    rng = slot.rng
    answer = item.options[item.gold].lower()
    explained = f"Ans. is '{_ABCD[item.gold]}' i.e., {answer}. The name {item.thing} tells it."
    return {
        "question": item.question,
        **{f"op{letter}": option for letter, option in zip(_ABCD, item.options, strict=True)},
        "cop": item.gold,
        "choice_type": rng.choice(("single", "single", "multi")),
        "exp": rng.choice((explained,) * 7 + (None, "", "None")),
        "subject_name": rng.choice(_SUBJECTS[topic]),
        "topic_name": _TOPIC_NAMES[topic] if rng.random() < 0.5 else None,
    }


def _identify(slot: Slot) -> Row:
    return {"id": slot.uuid()}


RENDERERS = (
    Renderer(
        folder="medmcqa",
        dataset="medmcqa",
        sizes={"train": 180_000, "validation": 1_200},
        make=_make,
        identify=_identify,
        texts=("question",),
        leaks={"train": "validation"},
        grades=(1, 1, 1, 2, 2, 3),
        practice=(1, 1, 1, 1, 1, 1, 1, 1, 2, 3),
    ),
)
