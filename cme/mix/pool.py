"""How many rows to ask the mini corpus for: it grows with the number, but each of its splits is finite."""

from collections.abc import Sequence

from cme.suite import DatasetSpec

__all__ = ["mini_train_rows"]

_SPARE = 1.3
_LARGEST_POOL = 1 << 22


def mini_train_rows(specs: Sequence[DatasetSpec], size: int | None) -> int | None:
    """Training rows per dataset from which a mix of ``size`` rows can be made after all removals.

    Planted copies, the validation part and rows without a label take a few percent; three tenths more are read than
    needed.

    Args:
        specs: the selected datasets.
        size: training rows of the mix; None: whatever the corpus gives by default.

    Returns:
        Rows per dataset, the smallest power of two that suffices or exhausts the corpus; None for its default.
    """
    if size is None:
        return None
    from cme import mini_corpus

    known = set(mini_corpus.known())
    splits = [
        [mini_corpus.size(subset.folder, subset.train) for subset in spec.subsets if subset.folder in known]
        for spec in specs
    ]  # fmt: skip
    pool = 1
    while pool < _LARGEST_POOL and sum(_given(pool, sizes) for sizes in splits) < size * _SPARE:
        pool *= 2
    return pool


def _given(pool: int, sizes: Sequence[int]) -> int:
    return sum(min(-(-pool // len(sizes)), size) for size in sizes)
