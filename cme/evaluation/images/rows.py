"""Questions about images: those of the mini corpus, and those of Parquet files with the columns of ScienceQA."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from cme.errors import CMEError, SourceError
from cme.files import digest
from cme.mini_corpus.pictures import picture_rows
from cme.readers.limits import DATA_FILES

__all__ = ["LETTERS", "ImageRow", "ImageRows", "read_rows"]

LETTERS = "ABCDEFGHIJ"
"""Letters of the options. A question can have 2 to 10."""

_COLUMNS = ("image", "question", "choices", "answer")


@dataclass(frozen=True)
class ImageRow:
    """A multiple-choice question about an image.

    Attributes:
        id: hash of the image, the question and the options.
        place: where the row is, for messages.
        image: content of the image file.
        question: the question.
        choices: the options.
        gold: index of the right option.
        skill: what the question asks about. Empty if the source does not say.
    """

    id: str
    place: str
    image: bytes
    question: str
    choices: tuple[str, ...]
    gold: int
    skill: str


@dataclass(frozen=True)
class ImageRows:
    """The rows of an evaluation.

    Attributes:
        rows: the first rows of the source that have an image.
        without_image: number of rows before the last one that have no image.
        fingerprint: hash of the ids and answers of the rows.
    """

    rows: tuple[ImageRow, ...]
    without_image: int
    fingerprint: str


def read_rows(source: str, most: int) -> ImageRows:
    """Read the first questions of a source.

    Args:
        source: ``mini``, or a folder with Parquet files. They need the columns ``image`` (bytes, or a struct with ``bytes``),
            ``question``, ``choices`` (a list of texts) and ``answer`` (the index of the right option).
        most: maximum number of rows.

    Raises:
        SourceError: the folder has no Parquet files, or they lack a column or have no row with an image.
        CMEError: a row is malformed.
    """
    rows, skipped = [], 0
    for row in _mini(most) if source == "mini" else _of_folder(Path(source).expanduser()):
        if row is None:
            skipped += 1
            continue
        rows.append(row)
        if len(rows) == most:
            break
    if not rows:
        raise SourceError(f"{source} has no row with an image. Give mini, or a folder with questions about images.")
    return ImageRows(tuple(rows), skipped, digest([[row.id, row.gold] for row in rows]))


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
            known = [name for name in (*_COLUMNS, "skill") if name in opened.schema.names]
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
    question, choices, answer = values["question"], values["choices"], values["answer"]
    problem = None
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
    elif not isinstance(answer, int) or isinstance(answer, bool) or not 0 <= answer < len(choices):
        problem = f"answer is {answer!r}, which is not the index of one of {len(choices)} choices"
    if problem:
        raise CMEError(f"{place}: {problem}. Correct or remove the row.")
    identity = digest([sha256(image).hexdigest(), question, choices])[:32]
    skill = values.get("skill")
    return ImageRow(identity, place, image, question, tuple(choices), answer, skill if isinstance(skill, str) else "")
