"""Planted rows of the training files: exact duplicates, leaks of every kind and near-misses.

Whether a row is planted depends only on its number, so the planted rows can be counted without generating them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from cme.data.example import Row

__all__ = ["Plant", "Row", "duplicates", "leaks", "make", "plants"]

_DUPLICATES = (200, 120, 60)  # In every 200 rows, row 120 repeats the row that is 60 places before it.
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
    """A kind of planted row. One row in 1,000 of a training file is derived from an evaluation row.

    Attributes:
        kind: A leak or a near-miss that decontamination must keep. Leaks are ``exact`` (the evaluation row itself), ``passage``
            (its passage with another question or hypothesis), ``13-gram`` (three quarters of its long text), ``order`` (its
            question with the words in another order) and ``longer`` (its question with one more word). Near-misses are ``quote``
            (a quarter of its long text) and ``replaced`` (its question with one word replaced).
        source: Folder and split of the evaluation rows. None means those of the training file's own subset.
    """

    kind: str
    source: str | None = None

    @property
    def rule(self) -> str | None:
        """The decontamination rule that detects such rows, or None for near-misses."""
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
    """Return the kinds of planted rows of a training file.

    Args:
        file: Folder and split, such as ``race/train``.
    """
    return _PLANTS.get(file, (Plant("exact"),))


def duplicates(start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Return the numbers of the duplicate rows in a range, each with the number of the row that it repeats."""
    every, place, back = _DUPLICATES
    first = start + (place - start) % every
    return ((row, row - back) for row in range(first, stop, every))


def leaks(file: str, number: int, rows: range, source_rows: int) -> Iterator[tuple[int, int]]:
    """Yield the numbers of the planted rows of one kind in a range, each with the number of its evaluation row.

    Each planted row of a training file is derived from another evaluation row. A file's own evaluation rows are used from the
    beginning and those of other files from the end. At most half of them are used each, so no evaluation row is planted in two
    training sets.

    Args:
        file: Folder and split.
        number: Index of the kind in `plants`.
        rows: The range of rows.
        source_rows: Number of evaluation rows.
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
    """Create a planted row.

    Args:
        plant: The kind of planted row.
        folder: Folder of the training file.
        row: The training row that is replaced.
        source: The evaluation row.
    """
    source = _reshaped(folder, source)
    if plant.kind == "exact":
        return row | {name: value for name, value in source.items() if name not in _IDENTITY}
    if plant.kind in ("order", "longer", "replaced"):
        return row | {"question": _changed_question(plant.kind, row["question"], source["question"])}
    column = _TEXT[folder]
    share = {"passage": 1.0, "13-gram": 0.75, "quote": 0.25}[plant.kind]
    changed = row | {column: _mixed(row[column], source[column], share)}
    # The passage has changed, so the position of the answer is no longer valid.
    return changed | ({"answers": {"text": [], "answer_start": []}} if folder == "squad_v2" else {})


def _reshaped(folder: str, source: Row) -> Row:
    """Convert a row of another dataset to the columns of this dataset."""
    if folder == "mmlu" and "article" in source:
        question = f"{source['article']} {source['question']}"
        return {"question": question, "choices": source["options"], "answer": "ABCD".index(source["answer"])}
    if folder == "anli" and "sentence1" in source:
        return {"premise": source["sentence1"]}
    return source


def _mixed(own: str, text: str, share: float) -> str:
    """Replace the first words of ``text`` with those of ``own``, so that ``share`` of its words are left."""
    words = text.split(" ")
    cut = round(len(words) * (1 - share))
    return " ".join(own.split(" ")[:cut] + words[cut:])


def _changed_question(kind: str, own: str, question: str) -> str:
    words, name = question.rstrip("?").split(), own.rstrip("?").split()[-1]
    middle = len(words) // 2
    if kind == "order":
        return " ".join(reversed(words))
    return " ".join([*words[:middle], name, *words[middle + (kind == "replaced") :]])
