"""The example: the record that all packages share."""

from dataclasses import dataclass
from typing import Any

__all__ = ["Content", "Dropped", "Example", "Row"]

Row = dict[str, Any]


@dataclass(frozen=True)
class Dropped:
    """A row that is dropped, with a reason for the counts."""

    reason: str


@dataclass(frozen=True)
class Content:
    """The content of an example without its identity, as a normaliser makes it from a raw row.

    Attributes:
        input: the text below the instruction, including options. It can be empty.
        output: the answer for training.
        match: the texts by which equal rows are detected. Unordered texts, such as options, are sorted.
        choices: the answer options as written in the prompt (label words or letters); None for free-text answers.
        gold: index of the correct choice.
        answers: all accepted free-text answers; ``("",)`` if the question has no answer (SQuAD 2.0).
        long: start and end, in characters, of the range of ``input`` that may be cut; None if nothing may be cut.
        cluster: the values that rows of a cluster share, if they are not the values of columns. For example, the twins of
            WinoGrande have their options in either order. With None, the columns ``cluster`` of the YAML determine the cluster.
    """

    input: str
    output: str
    match: tuple[str, ...]
    choices: tuple[str, ...] | None = None
    gold: int | None = None
    answers: tuple[str, ...] = ()
    long: tuple[int, int] | None = None
    cluster: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Example:
    """One example of the suite, ready to be rendered.

    Attributes:
        id: hash of dataset, key columns and occurrence number, in 32 hexadecimal digits. It is the same for all sources.
        dataset: name of the dataset.
        family: name of the family.
        subset: name of the subset, such as an ANLI round or an MMLU subject.
        cluster: identifier that examples with the same passage, article or premise share, or else the id.
        instruction: the instruction. It is the canonical one, unless a mix chose another prompt variant.
        input: see `Content`.
        output: see `Content`.
        match: see `Content`.
        choices: see `Content`.
        gold: see `Content`.
        answers: see `Content`.
        long: see `Content`.
    """

    id: str
    dataset: str
    family: str
    subset: str
    cluster: str
    instruction: str
    input: str
    output: str
    match: tuple[str, ...] = ()
    choices: tuple[str, ...] | None = None
    gold: int | None = None
    answers: tuple[str, ...] = ()
    long: tuple[int, int] | None = None
