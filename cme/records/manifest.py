"""The manifest of a training mix."""

from typing import ClassVar

from pydantic import Field

from cme.config import Items
from cme.records.base import Artefact, Record

__all__ = ["Manifest", "MixDataset", "Rebuilt"]


class MixDataset(Record):
    """Counts of one dataset's training rows.

    Attributes:
        family: task family.
        licence: licence, as stated by the publisher.
        read: rows that were read.
        dropped: rows that the normaliser removed, by reason.
        conflicting: rows that were removed because the same text has two labels (all copies).
        duplicates: rows that were removed because an earlier row has the same text.
        leaks: rows that were removed because they leak an evaluation row, by the first evaluation dataset that was detected.
        validation: rows of the validation split.
        available: training rows that remain after these steps.
        rows: training rows in the mix, after the cap.
        missing: splits that the source lacks (only with --allow-missing).
        provenance: what identifies the source's rows, such as a revision.
        warnings: differences from the published dataset, such as other numbers of rows in a new revision.
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


class Rebuilt(Record):
    """How a mix was built from row ids (``cme build-data --ids``).

    Attributes:
        source: the source from which the rows were read: hub, mini or the mirror's name.
        provenance: for each dataset, what identifies the rows of that source.
        ids: SHA-256 of the file of row ids.
        fingerprint: fingerprint of the first build. This mix has another one if rows are missing, or if its files have other
            bytes, for example because another version of pyarrow wrote them.
    """

    source: str
    provenance: dict[str, dict[str, str]]
    ids: str
    fingerprint: str


class Manifest(Artefact):
    """The manifest of a mix.

    Attributes:
        source: hub, mini or the mirror's name.
        seed: seed of the hash order and the permutation.
        size: requested number of training rows; None for all available rows.
        rows: number of training rows.
        validation_rows: number of validation rows.
        mixing: how the rows are distributed over the datasets.
        cap: limit K of the rows of one dataset; None if no dataset is capped. Rows that are then missing to ``size`` come from
            the largest capped datasets, one row each.
        paraphrase_share: share of training rows whose instruction is another prompt variant.
        datasets: counts by dataset.
        files: SHA-256 of every data file, by path relative to the mix.
        task_fingerprints: fingerprint of each dataset's YAML.
        versions: versions of the libraries.
        fingerprint: digest of all fields except the versions, ``tokens``, ``rebuilt``, ``unchecked`` and ``partial``. Equal mixes
            have equal fingerprints.
        tokens: token statistics, if a tokenizer was given.
        temperature: temperature of the mixing ``temperature``; None for other mixings.
        layout: alpaca or chat.
        gate: whether decontamination used all rules. If not, it compared whole key texts only.
        overlap: training rows that decontamination removed, by training dataset, evaluation dataset and rule.
        rebuilt: how the mix was built from row ids; None if it was not. All other fields are then those of the first build.
        unchecked: evaluation splits with which the training rows were not compared because the source lacks them, by dataset;
            None in manifests of earlier versions, which do not say.
        partial: evaluation datasets of which the source has fewer rows than are published, each with the provenance of the rows
            that were compared; None as for ``unchecked``.
    """

    KIND: ClassVar[str] = "manifest"
    SCHEMA_VERSION: ClassVar[int] = 1
    LEFT_OUT: ClassVar[tuple[str, ...]] = ("rebuilt", "unchecked", "partial")

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
    rebuilt: Rebuilt | None = None
    unchecked: dict[str, Items[str]] | None = None
    partial: dict[str, dict[str, str]] | None = None

    @property
    def compared(self) -> dict[str, tuple[str, ...]] | None:
        """The datasets with whose evaluation rows decontamination compared the mix, each with the splits that the source lacked.

        It is empty for a mix that was built with ``--no-decontamination``, and None if the manifest does not say.
        """
        if not self.gate:
            return {}
        if self.unchecked is None:
            return None
        names = dict.fromkeys(name for others in self.overlap.values() for name in others)
        return {name: self.unchecked.get(name, ()) for name in names}
