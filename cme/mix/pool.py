"""Number of rows that a build requests from the mini corpus, whose splits are finite."""

from collections.abc import Sequence

from cme.suite import DatasetSpec

__all__ = ["mini_train_rows"]

_SPARE = 1.3
_LARGEST_POOL = 1 << 22


def mini_train_rows(specs: Sequence[DatasetSpec], size: int | None) -> int | None:
    """Return the number of training rows per dataset that a mix of ``size`` rows needs before rows are removed.

    Planted copies, validation rows and rows without a label are a few percent. The number includes 30 % of spare rows.

    Args:
        specs: the selected datasets.
        size: training rows of the mix; None for the default of the corpus.

    Returns:
        Rows per dataset: the smallest power of two that is enough or exhausts the corpus, or None for the default.
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
