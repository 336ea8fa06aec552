"""Matching folders of analyses and exports to the runs of a row by the adapter."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from cme.errors import UsageError
from cme.leaderboard.entries.matching import Pair
from cme.leaderboard.ranking.numbers import listing
from cme.records import AdapterInfo
from cme.suite import datasets
from cme.suite.suites import ALL

__all__ = ["check_programs", "matched_to_runs"]


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


def check_programs(measured: Collection[str], item: Pair, folder: Path, *, command: str, what: str) -> None:
    """Refuse an analysis or an export of a result with datasets that are scored by running programs.

    The commands that make them run no programs. Their averages, without these datasets, are not the average of the row.

    Args:
        measured: names of the datasets of the analysis or of the export.
        item: the result, with its run.
        folder: folder of the analysis or of the export.
        command: the command that made it.
        what: what it is, such as ``an analysis``.

    Raises:
        UsageError: the result has such datasets, which the folder lacks.
    """
    suite = datasets(ALL)
    lacking = [
        name
        for name in item.result.task_fingerprints
        if name not in measured and name in suite and suite[name].runs_code
    ]
    if lacking:
        raise UsageError(
            f"the result {item.folder} has scores of programs ({listing(lacking)}), and {command} runs none, so {folder} cannot "
            f"belong to it. A row with scores of programs cannot have {what}. Submit it without, or submit a result that was "
            "evaluated without --run-code."
        )
