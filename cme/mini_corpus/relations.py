"""What can be said and asked about the things of the world, in several wordings each."""

from dataclasses import dataclass

__all__ = ["ARTICLES", "Relation", "Rumour", "bare", "listed"]

ARTICLES = ("a ", "an ", "the ")


@dataclass(frozen=True)
class Relation:
    """One attribute of a kind of thing.

    Attributes:
        key: name of the relation, unique within its kind.
        values: the values it can take, ordinary words with their article where English wants one.
        phrases: verb phrases with one ``{v}``, said after a singular subject. At most nine words, so that no thirteen
            words of a text go by without a name (the gate compares 13-grams between training and evaluation).
        denial: the negated verb phrase.
        questions: questions with ``{x}`` for the name.
    """

    key: str
    values: tuple[str, ...]
    phrases: tuple[str, ...]
    denial: str
    questions: tuple[str, ...]


@dataclass(frozen=True)
class Rumour:
    """Something that no text ever settles: a wish, a plan, an opinion.

    Attributes:
        phrase: verb phrase said after a singular subject.
        question: yes-no question with ``{x}`` for the name.
    """

    phrase: str
    question: str


def bare(value: str) -> str:
    """The value without its article."""
    return next((value[len(article) :] for article in ARTICLES if value.startswith(article)), value)


def listed(text: str) -> tuple[str, ...]:
    """The values of a line such as ``"red|blue"``: long lists stay readable."""
    return tuple(text.split("|"))
