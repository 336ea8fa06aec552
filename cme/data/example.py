"""The record that every room shares."""

from dataclasses import dataclass
from typing import Any

__all__ = ["Content", "Dropped", "Example", "Row"]

Row = dict[str, Any]


@dataclass(frozen=True)
class Dropped:
    """A row that is left out, with the reason that is counted and shown."""

    reason: str


@dataclass(frozen=True)
class Content:
    """What a normaliser makes of a raw row: everything but the row's identity.

    Attributes:
        input: the text below the instruction, options included; may be empty.
        output: the answer to train on.
        match: strings that make two rows the same item, in canonical order: an unordered pair sorted, options sorted.
        choices: the answers to choose from, as written in the prompt (label words or letters); None if the answer is free text.
        gold: index of the right choice.
        answers: every accepted free-text answer, as scored; ``("",)`` where no answer is right (SQuAD 2.0).
        long: start and end (characters) of the part of ``input`` that may be cut if it is too long; None: nothing may.
        cluster: what items share that are not independent, where no columns of the row say it as they stand (WinoGrande's
            twins have their options in either order); else the YAML's ``cluster`` columns do.
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
    """One item of the suite, ready to be rendered.

    Attributes:
        id: 32 hex digits: hash of dataset, key columns and occurrence number; equal on the hub and in any mirror.
        dataset: dataset name.
        family: family name.
        part: ANLI round, ARC set, MMLU subject.
        cluster: shared by items that are not independent (same passage, article, premise); else the id.
        instruction: what to do, in words; the canonical one unless a mix chose a paraphrase.
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
