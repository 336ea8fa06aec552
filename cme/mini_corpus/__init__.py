"""The mini corpus: synthetic rows in the hub columns of the suite's datasets (``--source mini``).

All datasets describe one synthetic world of people, towns, animals and materials. Row ``i`` of a split depends only on the
seed, the folder, the split and ``i``. Evaluation rows use names that training rows never use. The exceptions are closed-book
facts (``nq_open``, ``arc_*``), which training states in different words.
"""

from typing import Any

from cme.errors import UsageError, unknown
from cme.mini_corpus import plant
from cme.mini_corpus.part import Part
from cme.mini_corpus.render import PARTS

__all__ = ["known", "planted", "rows", "size"]


def known() -> list[str]:
    """Return the folders of the mini corpus."""
    return sorted(PARTS)


def size(folder: str, split: str) -> int:
    """Return the maximum number of rows of a split.

    Raises:
        UsageError: if the folder or split does not exist.
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
    """Return ``n`` rows of a split from row ``start``, in the hub's columns.

    Args:
        folder: folder, one of ``known()``.
        split: hub split name.
        n: number of rows; ``start + n`` is at most ``size(folder, split)``.
        start: number of the first row.
        seed: seed of the corpus. All seeds have the same rules.
        lengths: ``"short"`` for texts that train in minutes, ``"long"`` for realistic lengths.
        difficulty: ``"easy"`` has shortcuts that a small model learns in minutes; ``"hard"`` has none.

    Raises:
        UsageError: if the folder or split does not exist, or has fewer rows.
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
    """Count the planted rows among the first ``n`` rows of each training split of a folder or dataset.

    Args:
        name: folder or dataset. A dataset with several training splits counts ``n`` rows of each.
        n: rows per training split.
        seed: seed of the corpus. The counts are the same for all seeds.
        split: count only this training split.

    Returns:
        ``duplicates`` (same key text as an earlier row of the split), ``leaks`` (same key text as an evaluation row) and
        ``unlabelled`` (label -1). The three sets do not overlap.
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
