"""What is planted in the training files in known numbers: exact duplicates, leaks of every kind and near-misses.

A row's role depends on its number alone, so the planted rows can be counted without making any.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from cme.data.example import Row

__all__ = ["Plant", "Row", "duplicates", "leaks", "make", "plants"]

_DUPLICATES = (200, 120, 60)  # one row in 200, the one at place 120, is the row 60 places before it once more
_EVERY, _FIRST, _STEP = 1000, 10, 5

_IDENTITY = frozenset({"example_id", "id", "idx", "question_id", "subject", "uid"})
_TEXT = {
    "anli": "premise",
    "cnn_dailymail": "article",
    "imdb": "text",
    "mmlu": "question",
    "race": "article",
    "squad_v2": "context",
    "tldr": "prompt",
    "yelp_polarity": "text",
}


@dataclass(frozen=True)
class Plant:
    """One row in 1,000 of a training file is made from an evaluation row.

    Attributes:
        kind: a leak: ``exact`` (the row itself), ``passage`` (its passage with another question or hypothesis),
            ``13-gram`` (three quarters of its long text), ``order`` (its question with the words in another order),
            ``longer`` (its question with one word more); or a near-miss that decontamination must leave alone: ``quote`` (a
            quarter of its long text), ``replaced`` (its question with another word in place of one).
        source: part folder and split of the evaluation rows; None: the training file's own.
    """

    kind: str
    source: str | None = None

    @property
    def rule(self) -> str | None:
        """The rule of decontamination that finds such rows; None for near-misses."""
        rules = {"order": "token-set", "longer": "token-set", "quote": None, "replaced": None}
        return rules.get(self.kind, self.kind)


_LONG = (Plant("exact"), Plant("13-gram"), Plant("quote"))
_PASSAGES = (Plant("exact"), Plant("passage"), Plant("13-gram"), Plant("quote"))
_QUESTIONS = (Plant("exact"), Plant("order"), Plant("longer"), Plant("replaced"))
_PLANTS = {
    "anli/train_r3": (Plant("exact"), Plant("passage", "rte/validation")),
    "cnn_dailymail/train": _LONG,
    "imdb/train": _LONG,
    "mmlu/auxiliary_train": (Plant("exact"), *(Plant(kind, "race/test") for kind in ("exact", "13-gram", "quote"))),
    "nq_open/train": _QUESTIONS,
    "race/train": _PASSAGES,
    "squad_v2/train": _PASSAGES,
    "tldr/train": _LONG,
    "trivia_qa/train": _QUESTIONS,
    "yelp_polarity/train": _LONG,
}


def plants(file: str) -> tuple[Plant, ...]:
    """What is planted in a training file.

    Args:
        file: part folder and split, such as ``race/train``.
    """
    return _PLANTS.get(file, (Plant("exact"),))


def duplicates(start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Numbers of the duplicate rows in a range, each with the row that it repeats."""
    every, place, back = _DUPLICATES
    first = start + (place - start) % every
    return ((row, row - back) for row in range(first, stop, every))


def leaks(file: str, number: int, rows: range, source_rows: int) -> Iterator[tuple[int, int]]:
    """Numbers of one plant's rows in a range, each with the evaluation row that it is made from.

    No two rows of a training file are made from one evaluation row. A file's own evaluation rows are used from the
    front and other files' from the end, half of them at most, so a row is not planted in two training sets either.

    Args:
        file: part folder and split.
        number: the plant's place among `plants`.
        rows: the range.
        source_rows: how many evaluation rows there are.
    """
    every = plants(file)
    source = every[number].source
    turns = [place for place, plant in enumerate(every) if plant.source == source]
    most = source_rows // 2 if source else (source_rows + 1) // 2
    first = rows.start + (_FIRST + _STEP * number - rows.start) % _EVERY
    for row in range(first, rows.stop, _EVERY):
        used = row // _EVERY * len(turns) + turns.index(number)
        if used < most:
            yield row, source_rows - 1 - used if source else used


def make(plant: Plant, folder: str, row: Row, source: Row) -> Row:
    """A planted row.

    Args:
        plant: what to plant.
        folder: part folder of the training file.
        row: the row that would stand in its place.
        source: the evaluation row.
    """
    source = _reshaped(folder, source)
    if plant.kind == "exact":
        return row | {name: value for name, value in source.items() if name not in _IDENTITY}
    if plant.kind in ("order", "longer", "replaced"):
        return row | {"question": _asked(plant.kind, row["question"], source["question"])}
    column = _TEXT[folder]
    share = {"passage": 1.0, "13-gram": 0.75, "quote": 0.25}[plant.kind]
    changed = row | {column: _mixed(row[column], source[column], share)}
    # Where an answer stood is another passage now.
    return changed | ({"answers": {"text": [], "answer_start": []}} if folder == "squad_v2" else {})


def _reshaped(folder: str, source: Row) -> Row:
    """A row of another dataset in this one's columns."""
    if folder == "mmlu" and "article" in source:
        question = f"{source['article']} {source['question']}"
        return {"question": question, "choices": source["options"], "answer": "ABCD".index(source["answer"])}
    if folder == "anli" and "sentence1" in source:
        return {"premise": source["sentence1"]}
    return source


def _mixed(own: str, text: str, share: float) -> str:
    """The last words of a text, after as many of another's first ones."""
    words = text.split(" ")
    cut = round(len(words) * (1 - share))
    return " ".join(own.split(" ")[:cut] + words[cut:])


def _asked(kind: str, own: str, question: str) -> str:
    words, name = question.rstrip("?").split(), own.rstrip("?").split()[-1]
    middle = len(words) // 2
    if kind == "order":
        return " ".join(reversed(words))
    return " ".join([*words[:middle], name, *words[middle + (kind == "replaced") :]])
