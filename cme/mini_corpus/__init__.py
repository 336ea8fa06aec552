"""The mini corpus: synthetic rows in the hub columns of the suite's datasets (``--source mini``).

All datasets describe one synthetic world of people, towns, animals and materials. Row ``i`` of a split depends only on the
seed, the folder, the split and ``i``. Evaluation rows use names that training rows never use. The exceptions are closed-book
facts (``nq_open``, ``arc_*``), which training states in different words.
"""

from typing import Any

from cme.errors import UsageError, unknown
from cme.mini_corpus import plant
from cme.mini_corpus.render import RENDERERS
from cme.mini_corpus.renderer import LEVELS, Renderer

__all__ = ["DIFFICULTIES", "LEVELS", "known", "level", "planted", "rows", "size"]

DIFFICULTIES = ("easy", "graded", "hard")


def known() -> list[str]:
    """Return the folders of the mini corpus."""
    return sorted(RENDERERS)


def size(folder: str, split: str) -> int:
    """Return the maximum number of rows of a split.

    Raises:
        UsageError: if the folder or split does not exist.
    """
    sizes = _renderer(folder).sizes
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
        difficulty: ``"easy"`` has shortcuts that a small model learns in minutes; ``"hard"`` has none; ``"graded"`` has rows
            of several known levels (see `level`).

    Raises:
        UsageError: if the folder or split does not exist, or has fewer rows.
    """
    most = size(folder, split)
    if lengths not in ("short", "long"):
        raise unknown("lengths", lengths, ("short", "long"))
    if difficulty not in DIFFICULTIES:
        raise unknown("difficulty", difficulty, DIFFICULTIES)
    if start < 0 or not 0 <= start + n <= most:
        raise UsageError(
            f"the mini source has {most:,} rows of {folder}/{split}; {start + n:,} were requested. Request fewer rows."
        )
    renderer = RENDERERS[folder]
    hard, graded = difficulty == "hard", difficulty == "graded"
    return [
        plant.row(renderer, split, index, seed, long=lengths == "long", hard=hard, graded=graded)
        for index in range(start, start + n)
    ]


def level(folder: str, split: str, index: int, *, seed: int = 0) -> int:
    """Return the level of row ``index`` in a graded corpus, one of `LEVELS` (1 is the easiest).

    The level depends on the folder, the split, ``index`` and the seed only. A planted copy has the level of its source.

    Example:
        >>> from cme import mini_corpus
        >>> sorted({mini_corpus.level("imdb", "test", index) for index in range(10)})
        [1, 2, 3]

    Raises:
        UsageError: if the folder, split or row does not exist.
    """
    most = size(folder, split)
    if not 0 <= index < most:
        raise UsageError(f"the mini source has the rows 0 to {most - 1} of {folder}/{split}; {index} was requested.")
    return plant.level(RENDERERS[folder], split, index, seed)


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
    renderers = [renderer for renderer in RENDERERS.values() if name in (renderer.folder, renderer.dataset)]
    if not renderers:
        names = {*RENDERERS, *(renderer.dataset for renderer in RENDERERS.values())}
        raise unknown("dataset or folder of the mini corpus", name, names)
    total = {"duplicates": 0, "leaks": 0, "unlabelled": 0}
    for renderer in renderers:
        for split_name in renderer.sizes:
            if renderer.training(split_name) and split in (None, split_name):
                for key, number in plant.count(renderer, min(n, renderer.sizes[split_name])).items():
                    total[key] += number
    return total


def _renderer(folder: str) -> Renderer:
    if folder not in RENDERERS:
        raise unknown("folder of the mini corpus", folder, RENDERERS)
    return RENDERERS[folder]
