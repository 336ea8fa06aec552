"""Where rows come from: the Hugging Face hub, a mirror folder, or the mini corpus (the world)."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from cme.errors import SourceError, UsageError
from cme.suite import DatasetSpec, Subset

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Generator", "Source", "check_source", "is_mini", "open_source"]


class Source(Protocol):
    """A place that holds hub-shaped rows."""

    name: str
    """How the source is called in records: ``hub``, ``mini`` or the mirror folder's own name (never its path)."""

    place: str
    """How the source is called in messages: with its path, if it has one."""

    def missing(self, spec: DatasetSpec, kind: str) -> dict[str, str]:
        """Parts of a dataset whose ``"train"`` or ``"eval"`` split this source lacks → what is missing.

        Empty where that cannot be known before asking (the hub).
        """
        ...

    def table(self, spec: DatasetSpec, subset: Subset, split: str) -> "pa.Table":
        """All rows of one split of one part, in their stored order, with hub columns.

        Raises:
            SourceError: the split could not be downloaded.
        """
        ...

    def locate(self, spec: DatasetSpec, subset: Subset, split: str) -> str:
        """Where that split lies, for messages."""
        ...

    def provenance(self, spec: DatasetSpec) -> dict[str, str]:
        """What pins the rows: a hub revision, file hashes, or the world's version."""
        ...

    def files(self, spec: DatasetSpec, subset: Subset, split: str) -> list[Path]:
        """Local Parquet files of a split, in order, downloaded first if need be; none where the source makes its rows.

        Raises:
            SourceError: the split could not be downloaded.
        """
        ...


@runtime_checkable
class Generator(Protocol):
    """A source that makes its rows, and so has no files: any run of rows can be asked for."""

    def count(self, spec: DatasetSpec, subset: Subset, split: str) -> int:
        """Rows of a split."""
        ...

    def span(self, spec: DatasetSpec, subset: Subset, split: str, start: int, rows: int) -> "pa.Table":
        """``rows`` rows of a split from row ``start`` on."""
        ...


def is_mini(name: str) -> bool:
    """Whether a source's name means the mini corpus, with or without options."""
    return name.partition(":")[0] == "mini"


def open_source(name: str, *, train_rows: int | None = None) -> Source:
    """Open a source by name.

    Args:
        name: ``hub``, ``mini`` (with options: ``mini:hard,long,seed=3``) or a mirror folder.
        train_rows: for ``mini`` only: at least so many training rows per dataset.

    Raises:
        UsageError: no such source.
    """
    if is_mini(name):
        from cme.data.sources.mini import MiniOptions, MiniSource

        return MiniSource(train_rows, MiniOptions.parse(name))
    if name == "hub":
        from cme.data.sources.hub import HubSource

        return HubSource()
    folder = Path(name).expanduser()
    if not folder.is_dir():
        raise UsageError(f"unknown source {name!r}: it is not 'hub', 'mini' or a folder. Use one of these.")
    from cme.data.sources.mirror import MirrorSource

    return MirrorSource(folder)


def check_source(
    source: Source, specs: Iterable[DatasetSpec], kinds: Iterable[str], *, allow_missing: bool = False
) -> list[str]:
    """Look for every split before any work is done.

    Args:
        source: where the rows come from.
        specs: the datasets.
        kinds: ``"train"``, ``"eval"`` or both.
        allow_missing: return what is missing instead of raising.

    Returns:
        What is missing, as ``dataset: what``.

    Raises:
        SourceError: names everything that is missing.
    """
    kinds = tuple(kinds)
    lacking = [
        f"{spec.name}: {item}" for spec in specs for kind in kinds for item in source.missing(spec, kind).values()
    ]
    if lacking and not allow_missing:
        raise SourceError(
            f"{source.place} lacks:\n  " + "\n  ".join(lacking) + "\nPut them there, choose other --datasets, "
            "or pass --allow-missing to go on without them (they are listed in the record)."
        )
    return lacking
