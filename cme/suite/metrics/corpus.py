"""Scores of all answers of a dataset together, computed by scikit-learn."""

from collections.abc import Sequence

__all__ = ["binary_f1", "macro_f1"]

Pairs = Sequence[tuple[int, int]]
"""(gold, predicted) indices of options, one pair per answer."""


def binary_f1(pairs: Pairs, positive: int = 1) -> float:
    """Compute the F1 of one class.

    Args:
        pairs: (gold, predicted) per answer.
        positive: the class. By default the second label, which is the positive one of the suite's pair tasks.

    Returns:
        The F1 in [0, 1]; 0.0 if the class never occurs in gold or predicted.

    Example:
        >>> binary_f1([(1, 1), (1, 0), (0, 0)])
        0.6666666666666666
    """
    return _mean_f1(pairs, [positive])


def macro_f1(pairs: Pairs) -> float:
    """Compute the unweighted mean of the F1 of every class that occurs in gold or predicted.

    Args:
        pairs: (gold, predicted) per answer.

    Returns:
        The macro F1 in [0, 1]; 0.0 without answers.

    Example:
        >>> macro_f1([(0, 0), (1, 0)])
        0.3333333333333333
    """
    return _mean_f1(pairs, None)


def _mean_f1(pairs: Pairs, labels: list[int] | None) -> float:
    if not pairs:
        return 0.0
    from sklearn.metrics import f1_score

    gold, predicted = zip(*pairs, strict=True)
    return float(f1_score(gold, predicted, labels=labels, average="macro", zero_division=0.0))
