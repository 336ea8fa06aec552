"""Matching folders of analyses and exports to the runs of a row by the adapter."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from cme.errors import UsageError
from cme.leaderboard.entries.matching import Pair
from cme.records import AdapterInfo

__all__ = ["matched_to_runs"]


class _OfAdapter(Protocol):
    @property
    def adapter(self) -> AdapterInfo: ...


R = TypeVar("R", bound=_OfAdapter)


def matched_to_runs(
    pairs: Sequence[Pair], folders: Sequence[Path], read: Callable[[Path], R], *, verb: str, what: str
) -> dict[int, tuple[Path, R]]:
    """Match folders to the runs of a row by the fingerprint of the adapter.

    Args:
        pairs: the results of the row with their runs.
        folders: the folders, at most one for each run, in any order. A folder that is given twice counts once.
        read: reads the record of a folder.
        verb: what the folders do to the adapter, for messages, such as ``export``.
        what: what the folders are, for messages, such as ``exports``.

    Returns:
        The folder and its record, by index of the run in ascending order.

    Raises:
        CMEError: a record cannot be read.
        UsageError: a folder belongs to another adapter, or two folders to the same one.
    """
    adapters = [item.run.adapter_fingerprint if item.run else None for item in pairs]
    matched: dict[int, tuple[Path, R]] = {}
    for folder in dict.fromkeys(folders):
        record = read(folder)
        fingerprint = record.adapter.fingerprint
        if fingerprint not in adapters:
            raise UsageError(
                f"{folder} {verb}s the adapter {fingerprint[:12]}, which is not one of the row's adapters "
                f"({', '.join(str(item)[:12] for item in adapters if item) or 'it has none'}). Give {what} of the adapters that "
                "the results evaluate."
            )
        k = adapters.index(fingerprint)
        if k in matched:
            raise UsageError(f"{matched[k][0]} and {folder} {verb} the same adapter. Leave one of them out.")
        matched[k] = folder, record
    return dict(sorted(matched.items()))
