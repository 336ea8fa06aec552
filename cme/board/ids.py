"""Boards on the rows of files of row ids: the same evaluation rows, and the same mix, from any source that has them."""

from dataclasses import dataclass
from pathlib import Path

from cme.errors import UsageError
from cme.records.board import BoardFile

__all__ = ["FixedRows", "with_fixed_rows"]


@dataclass(frozen=True)
class FixedRows:
    """What the files of row ids of a board say.

    Attributes:
        evaluation: SHA-256 of the file of the evaluation rows, or None.
        source: source that results on these rows state; None for that of the board.
        mix: SHA-256 of the file of the mix, or None.
        mix_fingerprint: fingerprint of the mix, if the whole mix is built again; otherwise None.
    """

    evaluation: str | None = None
    source: str | None = None
    mix: str | None = None
    mix_fingerprint: str | None = None


def with_fixed_rows(file: BoardFile) -> tuple[BoardFile, FixedRows]:
    """Read the files of row ids of a board.

    Args:
        file: the board.

    Returns:
        The board with the tier and the datasets of the evaluation rows, and what the files say.

    Raises:
        UsageError: a file has ids of other rows, or the board has settings that the file determines.
        CMEError: a file is missing or damaged.
    """
    fixed = FixedRows()
    if file.ids is not None:
        file, fixed = _evaluation(file, Path(file.ids).expanduser())
    return (file, fixed) if file.mix.ids is None else (file, _mix(file, Path(file.mix.ids).expanduser(), fixed))


def _evaluation(file: BoardFile, ids: Path) -> tuple[BoardFile, FixedRows]:
    from cme.records.ids import read_ids

    read = read_ids(ids)
    head = read.head.evaluation
    if head is None:
        raise UsageError(
            f"ids: {ids} does not state an evaluation. Give a file that 'cme ids' made from a result or an entry."
        )
    if file.datasets:
        raise UsageError("datasets cannot be combined with ids, which names the datasets itself. Leave it out.")
    if "tier" in file.model_fields_set and file.tier != head.tier:
        raise UsageError(f"the rows of {ids} are of tier {head.tier}, but tier is {file.tier}. Leave it out.")
    changed = file.model_copy(update={"tier": head.tier, "datasets": tuple(head.counts)})
    return changed, FixedRows(evaluation=read.sha256, source=head.source)


def _mix(file: BoardFile, ids: Path, fixed: FixedRows) -> FixedRows:
    from cme.records.ids import read_ids

    read = read_ids(ids)
    if read.head.mix is None:
        raise UsageError(f"mix: {ids} has no ids of a mix. Give a file that 'cme ids' made from a mix.")
    if others := sorted(file.mix.model_fields_set - {"ids", "allow_missing"}):
        raise UsageError(
            f"mix: {', '.join(others)} cannot be combined with ids, because the file of row ids determines the mix. Leave "
            f"{'it' if len(others) == 1 else 'them'} out."
        )
    manifest = read.head.mix.manifest
    if file.rates and not manifest.validation_rows:
        raise UsageError(
            f"mix: {ids} is of a mix without validation rows, but these choose the learning rate. Leave out rates."
        )
    if file.exports is not None and not manifest.validation_rows:
        raise UsageError(
            f"mix: {ids} is of a mix without validation rows, but the exports are computed from these. Leave out exports."
        )
    own = None if file.mix.allow_missing else manifest.fingerprint
    return FixedRows(fixed.evaluation, fixed.source, read.sha256, own)
