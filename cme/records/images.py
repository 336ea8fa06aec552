"""The record of an evaluation on questions about images."""

from typing import ClassVar

from cme.records.base import Amount, Artefact, Count, Positive, Record
from cme.records.result import AdapterInfo

__all__ = ["ImageResult", "SkillScore"]


class SkillScore(Record):
    """The score on the questions of one skill.

    Attributes:
        n: number of questions.
        value: share of right answers.
        chance: mean of 1 / options.
    """

    n: Positive
    value: Amount
    chance: Amount


class ImageResult(Artefact):
    """A vision-language model evaluated on questions about images, apart from the suite.

    Attributes:
        name: name of the model in tables.
        base: name of the base, as given.
        base_fingerprint: SHA-256 of the base's configuration and weights.
        processor_fingerprint: SHA-256 of the files of the base's tokenizer and processor.
        adapter: the adapter; None for the base alone.
        source: ``mini``, or the folder of the questions, as given.
        rows_fingerprint: hash of the ids and answers of the questions.
        n: number of questions.
        without_image: number of rows that were skipped because they have no image.
        value: share of right answers.
        stderr: its standard error, with questions about the same image as one cluster; None with a single image.
        chance: mean of 1 / options.
        skills: the same by skill; empty if the source names no skills.
        dtype: data type of the weights.
        device: name of the device.
        seconds: time of the answers, including interrupted runs.
        versions: versions of the libraries.
        finished: UTC time, ISO 8601.
    """

    KIND: ClassVar[str] = "image-result"
    SCHEMA_VERSION: ClassVar[int] = 1

    name: str
    base: str
    base_fingerprint: str
    processor_fingerprint: str
    adapter: AdapterInfo | None
    source: str
    rows_fingerprint: str
    n: Positive
    without_image: Count
    value: Amount
    stderr: Amount | None
    chance: Amount
    skills: dict[str, SkillScore]
    dtype: str
    device: str
    seconds: Amount
    versions: dict[str, str]
    finished: str
