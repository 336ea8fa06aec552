"""Questions about images: those of the mini corpus, and those of Parquet files with the columns of ScienceQA or POPE."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from cme.errors import CMEError, SourceError, UsageError
from cme.files import digest
from cme.mini_corpus.pictures import picture_rows
from cme.readers.limits import DATA_FILES

__all__ = ["LETTERS", "MOST_MINI", "ImageRow", "ImageRows", "RowFacts", "open_rows", "read_rows"]

LETTERS = "ABCDEFGHIJ"
"""Letters of the options. A question can have 2 to 10."""

MOST_MINI = 10_000
"""Most rows of the mini corpus."""

_COLUMNS = ("image", "question", "answer")
_OPTIONAL = ("choices", "hint", "skill", "category")
_YES_NO = ("yes", "no")
"""The options of a file without ``choices``, such as POPE's."""


@dataclass(frozen=True)
class ImageRow:
    """A multiple-choice question about an image.

    Attributes:
        id: hash of the image, the question, the options and the hint.
        place: where the row is, for messages.
        image: content of the image file.
        question: the question.
        choices: the options.
        gold: index of the right option.
        skill: what the question asks about. Empty if the source does not say.
        hint: a text that belongs to the question. Empty if there is none.
    """

    id: str
    place: str
    image: bytes
    question: str
    choices: tuple[str, ...]
    gold: int
    skill: str
    hint: str = ""


@dataclass(frozen=True)
class RowFacts:
    """What is kept of a row in memory. Its image is read again when it is needed.

    Attributes:
        id: see `ImageRow`.
        gold: index of the right option.
        options: number of options.
        skill: see `ImageRow`.
        picture: SHA-256 of the image file.
    """

    id: str
    gold: int
    options: int
    skill: str
    picture: str


@dataclass(frozen=True)
class ImageRows:
    """The rows of an evaluation.

    Attributes:
        rows: facts of the first rows of the source that have an image.
        without_image: number of rows before the last one that have no image.
        fingerprint: hash of the ids and answers of the rows.
    """

    rows: tuple[RowFacts, ...]
    without_image: int
    fingerprint: str


def read_rows(source: str, most: int, check: Callable[[ImageRow], Any] = lambda row: None) -> ImageRows:
    """Read the first questions of a source. One batch of images is in memory at a time.

    Args:
        source: ``mini``, or a folder with Parquet files. They need the columns ``image`` (bytes, or a struct with ``bytes``),
            ``question`` and ``answer``. With ``choices`` (a list of texts), ``answer`` is the index of the right option. Without,
            it is yes or no. The columns ``hint`` and ``skill`` are optional.
        most: maximum number of rows.
        check: function that is called with every row, and raises an error for a row that cannot be evaluated.

    Raises:
        UsageError: more rows of the mini corpus than it has.
        SourceError: the folder has no Parquet files, or they lack a column or have no row with an image.
        CMEError: a row is malformed.
    """
    rows, skipped = [], 0
    for row in _first(source, most):
        if row is None:
            skipped += 1
            continue
        check(row)
        rows.append(RowFacts(row.id, row.gold, len(row.choices), row.skill, sha256(row.image).hexdigest()))
    if not rows:
        raise SourceError(f"{source} has no row with an image. Give mini, or a folder with questions about images.")
    return ImageRows(tuple(rows), skipped, digest([[row.id, row.gold] for row in rows]))


def open_rows(source: str, most: int) -> Iterator[ImageRow]:
    """Yield the first questions of a source with their images. The arguments and errors are those of `read_rows`."""
    return (row for row in _first(source, most) if row is not None)


def _first(source: str, most: int) -> Iterator[ImageRow | None]:
    """Yield rows up to the last one that is evaluated, and None for each row without an image."""
    if source == "mini" and most > MOST_MINI:
        raise UsageError(f"rows: the mini corpus has {MOST_MINI:,} questions about images, found {most:,}.")
    number = 0
    for row in _mini(most) if source == "mini" else _of_folder(Path(source).expanduser()):
        yield row
        number += row is not None
        if number == most:
            return


def _mini(most: int) -> Iterator[ImageRow]:
    for number, row in enumerate(picture_rows(most)):
        values = {"question": row.question, "choices": list(row.choices), "answer": row.gold, "skill": row.skill}
        yield _row(values, row.image, f"mini, row {number + 1}")


def _of_folder(folder: Path) -> Iterator[ImageRow | None]:
    from cme.readers.parquet_file import open_parquet, read_rows

    files = sorted(folder.glob("*.parquet"))
    if not files:
        raise SourceError(f"{folder} has no Parquet files. Give mini, or a folder that has some.")
    for file in files:
        number = 0
        with open_parquet(file, DATA_FILES, error=SourceError) as opened:
            if lacking := [name for name in _COLUMNS if name not in opened.schema.names]:
                raise SourceError(f"{file} lacks the columns {', '.join(lacking)}. Questions about images need them.")
            known = [name for name in (*_COLUMNS, *_OPTIONAL) if name in opened.schema.names]
            for batch in opened.batches(known, size=_BATCH):
                for values in read_rows(batch):
                    number += 1
                    place, image = f"{file}, row {number}", values["image"]
                    if isinstance(image, dict):
                        if image.get("bytes") is None and image.get("path"):
                            raise CMEError(
                                f"{place}: image is the path {image['path'][:100]!a}, which CME does not open. Save the bytes of "
                                "the images in the Parquet file."
                            )
                        image = image.get("bytes")
                    yield None if image is None else _row(values, image, place)


_BATCH = 64


def _row(values: dict[str, Any], image: Any, place: str) -> ImageRow:
    question, answer, problem = values["question"], values["answer"], None
    if "choices" in values:
        choices, skill = values["choices"], values.get("skill")
    else:
        choices, skill = list(_YES_NO), values.get("skill", values.get("category"))
        word = str(answer).strip().lower()
        answer = _YES_NO.index(word) if word in _YES_NO else None
    if not isinstance(image, bytes):
        problem = "image does not hold the bytes of a file"
    elif not isinstance(question, str) or not question.strip():
        problem = "question is empty"
    elif (
        not isinstance(choices, list)
        or not 2 <= len(choices) <= len(LETTERS)
        or not all(isinstance(choice, str) and choice.strip() for choice in choices)
    ):
        problem = f"choices must be 2 to {len(LETTERS)} texts"
    elif answer is None and "choices" not in values:
        problem = f"without choices, answer must be yes or no, found {str(values['answer'])[:100]!a}"
    elif not isinstance(answer, int) or isinstance(answer, bool) or not 0 <= answer < len(choices):
        problem = f"answer is {answer!r}, which is not the index of one of {len(choices)} choices"
    if problem:
        raise CMEError(f"{place}: {problem}. Correct or remove the row.")
    hint = values["hint"].strip() if isinstance(values.get("hint"), str) else ""
    # Ids of rows without a hint stay as they were before CME read hints.
    identity = digest([sha256(image).hexdigest(), question, choices, *([hint] if hint else [])])[:32]
    return ImageRow(
        identity, place, image, question, tuple(choices), answer, skill if isinstance(skill, str) else "", hint
    )
