"""Relations: statements and questions about entities, each in several wordings."""

from dataclasses import dataclass

__all__ = ["ARTICLES", "Relation", "Rumour", "bare", "listed"]

ARTICLES = ("a ", "an ", "the ")


@dataclass(frozen=True)
class Relation:
    """One attribute of a kind of entity.

    Attributes:
        key: name of the relation, unique within its kind.
        values: possible values, with an article where English needs one.
        phrases: verb phrases with one ``{v}`` for a singular subject. They have at most nine words, so that every 13 consecutive
            words contain a name. Decontamination compares 13-grams between training and evaluation.
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
    """A matter that no text answers: a wish, a plan or an opinion.

    Attributes:
        phrase: verb phrase for a singular subject.
        question: yes-no question with ``{x}`` for the name.
    """

    phrase: str
    question: str


def bare(value: str) -> str:
    """Return the value without its article."""
    return next((value[len(article) :] for article in ARTICLES if value.startswith(article)), value)


def listed(text: str) -> tuple[str, ...]:
    """Split a line such as ``"red|blue"`` into values. This keeps long lists readable."""
    return tuple(text.split("|"))
