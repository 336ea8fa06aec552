"""The manifest of a training mix."""

from typing import ClassVar

from pydantic import Field

from cme.config import Items
from cme.records.base import Artefact, Record

__all__ = ["Manifest", "MixDataset"]


class MixDataset(Record):
    """What became of one dataset's training rows.

    Attributes:
        family: task family.
        licence: as stated by the publisher.
        read: rows read.
        dropped: rows left out by the normaliser, by reason.
        conflicting: rows left out because the same text carries two labels (all copies).
        duplicates: rows left out because an earlier row has the same text.
        leaks: rows left out because they leak an evaluation row, by evaluation dataset (the first that was found).
        validation: rows set aside for the validation part.
        available: training rows left after all of that.
        rows: training rows in the mix (after the cap).
        missing: splits that the source lacks (only with --allow-missing).
        provenance: what pins the source's rows.
        warnings: what is not as published: other numbers of rows, which a new revision or a sample has.
    """

    family: str
    licence: str
    read: int
    dropped: dict[str, int]
    conflicting: int
    duplicates: int
    leaks: dict[str, int]
    validation: int
    available: int
    rows: int
    missing: Items[str] = ()
    provenance: dict[str, str] = Field(default_factory=dict)
    warnings: Items[str] = ()


class Manifest(Artefact):
    """What a mix is made of.

    Attributes:
        source: hub, mini or the mirror's name.
        seed: of the hash order and the permutation.
        size: training rows asked for; None: all that are left.
        rows: training rows written.
        validation_rows: rows in the validation part.
        mixing: how rows are shared out between the datasets.
        cap: most rows that one dataset gives (K); None where nothing is capped.
        paraphrase_share: share of training rows with a paraphrased instruction.
        datasets: by dataset name.
        files: SHA-256 of every data file, by path relative to the mix.
        task_fingerprints: of each dataset's YAML.
        versions: of the libraries.
        fingerprint: digest of everything above but the versions: equal mixes have equal fingerprints.
        tokens: token statistics, if a tokenizer was given.
        temperature: of the mixing of that name; None for the others.
        layout: alpaca or chat.
        gate: whether rows were compared with the evaluation rows by all rules, or by their key texts alone.
        overlap: training rows found by the gate, by training dataset, evaluation dataset and rule.
    """

    KIND: ClassVar[str] = "manifest"
    SCHEMA_VERSION: ClassVar[int] = 1

    source: str
    seed: int
    size: int | None
    rows: int
    validation_rows: int
    mixing: str
    cap: int | None
    paraphrase_share: float
    datasets: dict[str, MixDataset]
    files: dict[str, str]
    task_fingerprints: dict[str, str]
    versions: dict[str, str]
    fingerprint: str
    tokens: dict[str, int | float] | None = None
    temperature: float | None = None
    layout: str = "alpaca"
    gate: bool = True
    overlap: dict[str, dict[str, dict[str, int]]] = Field(default_factory=dict)
