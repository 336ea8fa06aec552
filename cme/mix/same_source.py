"""Checks that a continued build reads the same rows as before the interruption."""

from collections.abc import Mapping, Sequence

from cme.data.chunks import Piece
from cme.data.sources import Source
from cme.errors import UsageError
from cme.suite import DatasetSpec

__all__ = ["check_plan", "check_same"]


def check_plan(spec: DatasetSpec, kind: str, source: Source, pieces: Sequence[Piece]) -> None:
    """Check that a split still has the files that a plan names. `check_same` then checks their content.

    Args:
        spec: the dataset.
        kind: ``train`` or ``eval``.
        source: where the rows come from.
        pieces: pieces of the plan.

    Raises:
        UsageError: a file of the plan does not belong to the split any more.
        SourceError: a file does not exist any more.
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
    # Files without rows are in no piece.
    if lost := sorted(map(str, named - files)):
        raise _changed(spec, f"{lost[0]} is not one of its files any more")


def check_same(spec: DatasetSpec, source: Source, provenance: Mapping[str, str]) -> None:
    """Check that the provenance of the rows of a dataset has not changed since the build began.

    Args:
        spec: the dataset.
        source: where the rows come from. The files of this dataset that were requested are hashed.
        provenance: provenance of the rows when the build began.

    Raises:
        UsageError: the provenance has changed.
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
