"""A build that continues reads the rows that it began with, or says that it cannot."""

from collections.abc import Mapping, Sequence

from cme.data.chunks import Piece
from cme.data.sources import Source
from cme.errors import UsageError
from cme.suite import DatasetSpec

__all__ = ["check_plan", "check_same"]


def check_plan(spec: DatasetSpec, kind: str, source: Source, pieces: Sequence[Piece]) -> None:
    """Check that a split still has the files that a plan names; `check_same` then checks their content.

    Args:
        spec: the dataset.
        kind: ``train`` or ``eval``.
        source: where the rows come from.
        pieces: the plan's pieces.

    Raises:
        UsageError: a file of the plan is no longer one of the split's.
        SourceError: a file is no longer there.
    """
    gone = source.missing(spec, kind)
    planned = {piece.subset for piece in pieces} - {*gone}
    files = {
        file
        for subset in spec.subsets
        if subset.name in planned
        for file in source.files(spec, subset, subset.split(kind))
    }
    named = {piece.file for piece in pieces if piece.file is not None and piece.subset in planned}
    # A file without rows is in no piece.
    if lost := sorted(map(str, named - files)):
        raise _changed(spec, f"{lost[0]} is no longer one of its files")


def check_same(spec: DatasetSpec, source: Source, provenance: Mapping[str, str]) -> None:
    """Check that what pins a dataset's rows is what it was when work on them began.

    Args:
        spec: the dataset.
        source: where the rows come from; its files of this dataset that were asked for are hashed.
        provenance: what pinned the rows then.

    Raises:
        UsageError: something is another one.
    """
    for name, value in source.provenance(spec).items():
        before = provenance.get(name)
        if before is not None and before != value:
            raise _changed(spec, f"{name} is {value[:16]} now and was {before[:16]} then")


def _changed(spec: DatasetSpec, what: str) -> UsageError:
    return UsageError(
        f"{spec.name}: the source has changed since this build began: {what}. Put the old data back to continue, or give another "
        "--out to build from the new data."
    )
