"""Rows of a leaderboard: submit them, and list the steps that made them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cme.api.call import StrPath, path, public
from cme.errors import UsageError
from cme.records import Entry, chosen_run

if TYPE_CHECKING:
    from cme.leaderboard.submission.steps import BoardStep

__all__ = ["Submitted", "board_steps", "submit"]


@dataclass(frozen=True)
class Submitted:
    """A submitted row.

    Attributes:
        file: file of the entry.
        entry: the entry.
        notes: messages about the updates of the adapter cards.
    """

    file: Path
    entry: Entry
    notes: tuple[str, ...] = ()

    def __fspath__(self) -> str:
        return str(self.file)


@public
def submit(
    results: StrPath | Sequence[StrPath] = (),
    *,
    run: StrPath | Sequence[StrPath] | None = None,
    entries: StrPath = "leaderboards/entries",
    name: str | None = None,
    grid: StrPath | None = None,
    bench: StrPath | None = None,
    prompt_variants: StrPath | Sequence[StrPath] | None = None,
    analysis: StrPath | Sequence[StrPath] | None = None,
    export: StrPath | Sequence[StrPath] | None = None,
    replace: bool = False,
    card: bool = True,
) -> Submitted:
    """Make a leaderboard row for one method, trained with one or several seeds: ``cme submit``.

    CME matches results and runs by the fingerprint of the adapter, so their order does not matter. It first recomputes every
    number from the per-sample scores. A result of a model in memory is refused, because nobody could evaluate it again.

    Without results, the measured costs of an existing row are replaced: give its ``name`` and ``bench``.

    Args:
        results: results or their folders, one per seed.
        run: training runs or their folders. A learning-rate grid stands for its best run. None for a base.
        entries: folder of the entries.
        name: name of the row. None means the results' name without the seed.
        grid: evidence for the learning rate: the object that `train_grid` returned, or its folder.
        bench: measured costs: the folder that `bench_adapters` wrote.
        prompt_variants: results of one of these models with other prompt variants (`evaluate` with ``prompt_variant``).
        analysis: analyses of the experts of these adapters, at most one per seed: the objects that `analyse` returned, or
            their folders.
        export: folders of measured exports of these adapters to plain LoRA, at most one per seed (``cme export-lora --measure``).
        replace: overwrite an entry of the same name.
        card: write the scores into the adapter cards (``README.md`` in ``run``).

    Returns:
        The entry and its file.

    Raises:
        CMEError: if results and runs do not match, a number does not follow from the samples, or the name is taken.

    Example:
        >>> result = cme.evaluate(baseline="majority", source="mini", tier="smoke", datasets="rte", out="to-submit")
        >>> cme.submit(result, entries="board/entries").entry.name
        'majority'
    """
    from cme.leaderboard.submission.model_card import update_cards
    from cme.leaderboard.submission.submit import make_entry

    runs, folder = [chosen_run(item) for item in _paths(run)], path(entries)
    if not _paths(results):
        others = [*runs, *(item for given in (grid, prompt_variants, analysis, export) for item in _paths(given))]
        return _with_costs(name, folder, bench, others)
    entry = make_entry(
        _paths(results),
        runs,
        folder,
        name=name,
        grid=None if grid is None else path(grid),
        bench=None if bench is None else path(bench),
        paraphrases=_paths(prompt_variants),
        analyses=_paths(analysis),
        exports=_paths(export),
        replace=replace,
    )
    return Submitted(folder / f"{entry.name}.json", entry, tuple(update_cards(entry, runs)) if card else ())


def _with_costs(name: str | None, folder: Path, bench: StrPath | None, others: Sequence[Path]) -> Submitted:
    """Replace the measured costs of an existing row."""
    from cme.leaderboard.submission.submit import replace_costs

    if name is None or bench is None or others:
        raise UsageError(
            "a row needs at least one result. Give the output folder of cme eval. To replace the measured costs of an existing "
            "row, give its name and the folder of cme bench adapters, and nothing else."
        )
    return Submitted(folder / f"{name}.json", replace_costs(name, folder, path(bench)))


def _paths(value: StrPath | Sequence[StrPath] | None) -> list[Path]:
    if value is None:
        return []
    return (
        [path(item) for item in value] if isinstance(value, Sequence) and not isinstance(value, str) else [path(value)]
    )


@public
def board_steps(board: StrPath) -> "list[BoardStep]":
    """List the steps that made the numbers of a board, with their command lines: ``cme reproduce BOARD``.

    The commands follow from the entries alone, with every recorded setting. They are written for the board's folder, and have
    ``DIR`` in place of the folder of a mirror. Where an entry does not record a setting, the ``remark`` of the step says so.

    Args:
        board: the board's folder (with ``entries`` and ``samples``), or its folder of entries.

    Returns:
        For each step its ``name`` (the output folder), the ``row``, the ``numbers`` that it made, the ``command``, and a
        ``remark`` on what the command does not say.

    Raises:
        CMEError: if there are no entries, or one is damaged.

    Example:
        >>> result = cme.evaluate(baseline="majority", source="mini", tier="smoke", datasets="rte", out="steps-result")
        >>> _ = cme.submit(result, entries="steps/entries")
        >>> [step.name for step in cme.board_steps("steps")]
        ['results/majority', 'entries/majority', 'table']
    """
    from cme.api.boards import entries_folder, load_board
    from cme.board.id_steps import MIX_IDS
    from cme.leaderboard.submission.reproduce import build_command
    from cme.leaderboard.submission.steps import board_steps as steps

    entries = load_board(path(board)).entries
    mix_ids = MIX_IDS if (entries_folder(path(board)).parent / MIX_IDS).is_file() else None
    return steps(entries, {entry.name: build_command(entry) for entry in entries if entry.settings}, mix_ids)
