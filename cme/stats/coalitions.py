"""Exact Shapley values and interactions of experts, from the scores of all coalitions.

A coalition is the set of experts that remain while all others are masked. It is numbered by its bits: coalition 5 of four
experts holds the experts 0 and 2. All functions are linear in the scores, so they can be applied to the scores of single
samples, and a mean of the results has the usual cluster-robust standard error.
"""

from itertools import combinations
from math import factorial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cme.errors import UsageError

__all__ = ["EXACT", "interactions", "members", "number_of", "shapley_values"]

EXACT = 6
"""Largest number of experts whose coalitions, at most 64, are all evaluated."""


def members(coalition: int, experts: int) -> tuple[int, ...]:
    """Return the experts of a coalition in ascending order."""
    return tuple(expert for expert in range(experts) if coalition >> expert & 1)


def number_of(kept: ArrayLike) -> int:
    """Return the number of the coalition of the given experts."""
    return sum(1 << int(expert) for expert in np.asarray(kept, dtype=np.int64).ravel())


def shapley_values(scores: ArrayLike) -> NDArray[np.float64]:
    """Compute each expert's Shapley value: its mean contribution when the experts join in a random order.

    Args:
        scores: Score of every coalition, [2^k, ...], in the order of their numbers.

    Returns:
        The values, [k, ...]. They sum to the score of all experts minus the score of none.

    Raises:
        UsageError: The number of scores is not a power of two.

    Source: L. S. Shapley, A Value for n-Person Games (1953).
    """
    table, experts = _table(scores)
    values = np.zeros((experts, *table.shape[1:]))
    for coalition in range(len(table)):
        size = coalition.bit_count()
        if size == experts:
            continue
        weight = factorial(size) * factorial(experts - size - 1) / factorial(experts)
        for expert in range(experts):
            if not coalition >> expert & 1:
                values[expert] += weight * (table[coalition | 1 << expert] - table[coalition])
    return values


def interactions(scores: ArrayLike) -> NDArray[np.float64]:
    """Compute the Shapley interaction index of each pair of experts.

    It is positive if two experts add more together than separately, and negative if one makes the other redundant.

    Args:
        scores: Score of every coalition, [2^k, ...], in the order of their numbers.

    Returns:
        The indices, [k, k, ...], symmetric, with NaN on the diagonal.

    Raises:
        UsageError: The number of scores is not a power of two.

    Source: M. Grabisch and M. Roubens, An Axiomatic Approach to the Concept of Interaction Among Players in Cooperative Games,
    International Journal of Game Theory 28 (1999).
    """
    table, experts = _table(scores)
    values = np.full((experts, experts, *table.shape[1:]), np.nan)
    for first, second in combinations(range(experts), 2):
        total = np.zeros(table.shape[1:])
        pair = 1 << first | 1 << second
        for coalition in range(len(table)):
            if coalition & pair:
                continue
            size = coalition.bit_count()
            weight = factorial(size) * factorial(experts - size - 2) / factorial(experts - 1)
            total += weight * (
                table[coalition | pair]
                - table[coalition | 1 << first]
                - table[coalition | 1 << second]
                + table[coalition]
            )
        values[first, second] = values[second, first] = total
    return values


def _table(scores: ArrayLike) -> tuple[NDArray[np.float64], int]:
    table = np.asarray(scores, dtype=np.float64)
    count = len(table) if table.ndim else 0
    if count < 2 or count & (count - 1):
        raise UsageError(
            f"there are scores of {count} coalitions. Shapley values need one score for each of the 2^k coalitions of k experts."
        )
    return table, count.bit_length() - 1
