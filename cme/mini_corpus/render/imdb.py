"""IMDB: film reviews with HTML line breaks. The hub's unlabelled split is not generated, because the suite does not use it."""

from cme.mini_corpus.draw import Row, Slot
from cme.mini_corpus.entities import another
from cme.mini_corpus.opinions import Matter, review
from cme.mini_corpus.passages import chatter
from cme.mini_corpus.renderer import Renderer

__all__ = ["RENDERERS"]

_FILM = Matter(
    (
        "last night I saw {x}, a film by {p}",
        "{x} is the new film by {p}",
        "{p} plays the main part in {x}",
        "my sister took me to {x} by {p}",
    ),
    ("acting", "music", "story", "ending", "dialogue", "camera"),
    (
        (
            "{x} made me want my money back",
            "{x} bored me so much that I left early",
            "{p} has made the worst film of the year",
            "with {x} you only waste your time",
        ),
        (
            "{x} made me want to see it again",
            "{x} made me so happy that I clapped",
            "{p} has made the best film of the year",
            "with {x} you cannot go wrong",
        ),
    ),
)


def _make(slot: Slot) -> Row:
    rng, opinion = slot.rng, review(slot, _FILM, '"The {}"')
    talk = []
    if slot.long:
        others = (another(opinion.people, slot.pool, slot.seed, rng) for _ in range(2))
        talk = chatter([*opinion.people, *others], rng)
    sentences = [opinion.opening, *talk, *opinion.verdict]
    joints = [" "] * (len(sentences) - 1)
    if rng.random() < 0.4:
        joints[rng.randrange(len(joints))] = "<br /><br />"
    text = "".join(text + joint for text, joint in zip(sentences, [*joints, ""], strict=True))
    return {"text": text, "label": opinion.label}


def _identify(slot: Slot) -> Row:
    return {}


RENDERERS = (
    Renderer(
        folder="imdb",
        dataset="imdb",
        sizes={"train": 300_000, "test": 2_000},
        make=_make,
        identify=_identify,
        texts=("text",),
        leaks={"train": "test"},
        grades=(1, 2, 2, 3, 3),
        practice=(1, 1, 2, 2, 3),
        marks=("<br />",),
    ),
)
