"""Sources of rows: the Hugging Face hub, a mirror folder, or the mini corpus."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from cme.data.sources.named import named_folder, source_identity, source_notes, source_text
from cme.errors import SourceError, UsageError
from cme.suite import DatasetSpec, Subset

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "Generator",
    "Source",
    "check_source",
    "is_mini",
    "open_source",
    "request_files",
    "source_identity",
    "source_notes",
    "source_text",
]


class Source(Protocol):
    """A source of rows with hub columns."""

    name: str
    """Name of the source in records: ``hub``, ``mini``, or the name of a mirror or of its folder (never its path)."""

    place: str
    """Name of the source in messages, with its path if it has one."""

    def missing(self, spec: DatasetSpec, kind: str) -> dict[str, str]:
        """Return what is missing, by subset whose ``"train"`` or ``"eval"`` split this source lacks.

        The result is empty for the hub, where missing splits are not known in advance.
        """
        ...

    def table(self, spec: DatasetSpec, subset: Subset, split: str) -> "pa.Table":
        """Return all rows of a split of a subset, in their stored order, with hub columns.

        Raises:
            SourceError: the split could not be downloaded.
        """
        ...

    def locate(self, spec: DatasetSpec, subset: Subset, split: str) -> str:
        """Return the location of the split, for messages."""
        ...

    def provenance(self, spec: DatasetSpec) -> dict[str, str]:
        """Return what identifies the rows: a hub revision, hashes of files, or the name of the mini corpus."""
        ...

    def files(self, spec: DatasetSpec, subset: Subset, split: str) -> list[Path]:
        """Return the local Parquet files of a split, in order, and download them if necessary.

        A source that generates its rows has none.

        Raises:
            SourceError: the split could not be downloaded.
        """
        ...


@runtime_checkable
class Generator(Protocol):
    """A source that generates its rows and has no files."""

    def count(self, spec: DatasetSpec, subset: Subset, split: str) -> int:
        """Return the number of rows of a split."""
        ...

    def span(self, spec: DatasetSpec, subset: Subset, split: str, start: int, rows: int) -> "pa.Table":
        """Return ``rows`` rows of a split from row ``start``."""
        ...


def is_mini(name: str) -> bool:
    """Return whether the name of a source means the mini corpus, with or without options."""
    return name.partition(":")[0] == "mini"


def open_source(name: str, *, train_rows: int | None = None) -> Source:
    """Open a source by name.

    Args:
        name: ``hub``, ``mini`` (with options: ``mini:graded,long,seed=3``), a mirror folder, or a mirror folder with a name
            for records and tables (``NAME=DIR``).
        train_rows: least number of training rows per dataset, for ``mini`` only.

    Returns:
        The source.

    Raises:
        UsageError: there is no such source.
    """
    if is_mini(name):
        from cme.data.sources.mini import MiniOptions, MiniSource

        return MiniSource(train_rows, MiniOptions.parse(name))
    if name == "hub":
        from cme.data.sources.hub import HubSource

        return HubSource()
    from cme.data.sources.mirror import MirrorSource

    if named := named_folder(name):
        if not named.folder.is_dir():
            raise UsageError(f"the folder {named.folder} of the source {named.name!r} does not exist.")
        return MirrorSource(named.folder, named.name)
    folder = Path(name).expanduser()
    if not folder.is_dir():
        raise UsageError(f"unknown source {name!r}. Use 'hub', 'mini', an existing folder, or NAME=DIR.")
    return MirrorSource(folder)


def check_source(
    source: Source, specs: Iterable[DatasetSpec], kinds: Iterable[str], *, allow_missing: bool = False
) -> list[str]:
    """Check that the source has all splits.

    Args:
        source: where the rows come from.
        specs: the datasets.
        kinds: ``"train"``, ``"eval"`` or both.
        allow_missing: return what is missing instead of raising an error.

    Returns:
        What is missing, with the name of its dataset.

    Raises:
        SourceError: something is missing. The message lists all of it.
    """
    kinds = tuple(kinds)
    lacking = [
        f"{spec.name}: {item}" for spec in specs for kind in kinds for item in source.missing(spec, kind).values()
    ]
    if lacking and not allow_missing:
        raise SourceError(
            f"{source.place} lacks:\n  " + "\n  ".join(lacking) + "\nAdd them, choose other --datasets, "
            "or pass --allow-missing to continue without them (the record lists them)."
        )
    return lacking


def request_files(source: Source, spec: DatasetSpec, kind: str) -> None:
    """Request the files of all splits of a kind that the source has, so that `Source.provenance` identifies their rows.

    Args:
        source: where the rows come from.
        spec: the dataset.
        kind: ``train`` or ``eval``.

    Raises:
        SourceError: a file could not be downloaded.
    """
    lacking = source.missing(spec, kind)
    for subset in spec.subsets_of(kind):
        if subset.name not in lacking:
            source.files(spec, subset, subset.split(kind))
