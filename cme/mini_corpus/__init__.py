"""The world: an invented place rendered in the hub columns of the suite's datasets (``--source mini``).

Row ``i`` of a split is a function of the seed, the folder, the split and ``i`` alone. Evaluation asks about things that
training never names, except closed-book facts (``nq_open``, ``arc_*``), which training states in other words.
"""

from typing import Any

from cme.errors import UsageError, unknown
from cme.mini_corpus import plant
from cme.mini_corpus.part import Part
from cme.mini_corpus.render import PARTS

__all__ = ["known", "planted", "rows", "size"]


def known() -> list[str]:
    """The part folders that the world can render."""
    return sorted(PARTS)


def size(folder: str, split: str) -> int:
    """The most rows that exist of a split.

    Raises:
        UsageError: no such part folder or split.
    """
    sizes = _part(folder).sizes
    if split not in sizes:
        raise unknown(f"split of {folder}", split, sizes)
    return sizes[split]


def rows(
    folder: str,
    split: str,
    n: int,
    *,
    start: int = 0,
    seed: int = 0,
    lengths: str = "short",
    difficulty: str = "easy",
) -> list[dict[str, Any]]:
    """The first ``n`` rows of a split from row ``start`` on, in the hub's columns.

    Args:
        folder: part folder, one of ``known()``.
        split: hub split name.
        n: number of rows; ``start + n`` is at most ``size(folder, split)``.
        start: number of the first row.
        seed: another seed gives another world with the same rules.
        lengths: ``"short"`` for texts that train in minutes, ``"long"`` for realistic lengths.
        difficulty: ``"easy"`` leaves shortcuts that a small model learns in minutes; ``"hard"`` closes them.

    Raises:
        UsageError: no such folder or split, or more rows asked for than exist.
    """
    most = size(folder, split)
    if lengths not in ("short", "long"):
        raise unknown("lengths", lengths, ("short", "long"))
    if difficulty not in ("easy", "hard"):
        raise unknown("difficulty", difficulty, ("easy", "hard"))
    if start < 0 or not 0 <= start + n <= most:
        raise UsageError(
            f"the mini source has {most:,} rows of {folder}/{split}; {start + n:,} were asked for. Ask for fewer."
        )
    part = PARTS[folder]
    return [
        plant.row(part, split, index, seed, long=lengths == "long", hard=difficulty == "hard")
        for index in range(start, start + n)
    ]


def planted(name: str, n: int, *, seed: int = 0, split: str | None = None) -> dict[str, int]:
    """How many rows of each planted sort are among the first ``n`` of every training split of a folder or dataset.

    Args:
        name: part folder or dataset; a dataset of several training splits counts ``n`` rows of each.
        n: rows per training split.
        seed: the world's seed; the numbers are the same for all.
        split: count this training split alone.

    Returns:
        ``duplicates`` (same key text as an earlier row of the split), ``leaks`` (same key text as an evaluation row) and
        ``unlabelled`` (label -1); the three never overlap.
    """
    parts = [PARTS[name]] if name in PARTS else [part for part in PARTS.values() if part.dataset == name]
    if not parts:
        raise unknown("dataset or part folder", name, {*PARTS, *(part.dataset for part in PARTS.values())})
    total = {"duplicates": 0, "leaks": 0, "unlabelled": 0}
    for part in parts:
        for found in part.sizes:
            if part.training(found) and split in (None, found):
                for key, number in plant.count(part, min(n, part.sizes[found])).items():
                    total[key] += number
    return total


def _part(folder: str) -> Part:
    if folder not in PARTS:
        raise unknown("part folder", folder, PARTS)
    return PARTS[folder]
