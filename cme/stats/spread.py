"""Prompt sensitivity of an average, and the share of single datasets in its variance."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cme.errors import UsageError

__all__ = ["Spread", "prompt_sensitivity", "variance_share"]


@dataclass(frozen=True)
class Spread:
    """The spread of several scores.

    Attributes:
        std: Sample standard deviation.
        low, high: Lowest and highest score.
    """

    std: float
    low: float
    high: float

    @property
    def range(self) -> float:
        """Highest minus lowest score."""
        return self.high - self.low


def prompt_sensitivity(scores: Sequence[float]) -> Spread:
    """Compute the spread of one score of one model over prompt variants.

    All prompt variants are evaluated on the same samples, so the spread contains sampling noise only through changed answers.

    Args:
        scores: One score per prompt variant, in any unit.

    Returns:
        The spread.

    Raises:
        UsageError: There are fewer than two scores.
    """
    if len(scores) < 2:
        raise UsageError(
            f"the prompt sensitivity needs the scores of at least two prompt variants, but there are {len(scores)}. Evaluate "
            "more prompt variants."
        )
    return Spread(float(np.std(scores, ddof=1)), float(min(scores)), float(max(scores)))


def variance_share(
    means: Mapping[str, Mapping[str, float]], weights: Mapping[str, float], chosen: Collection[str]
) -> float | None:
    """Compute the share of some datasets in the variance of a weighted mean between rows.

    The mean is a sum with one term per dataset, and its variance is the sum of each term's covariance with the mean. The shares
    of all datasets sum to 1. A share is negative if its datasets rank the rows against the mean, and above 1 if the others do.

    Args:
        means: Mean score by row and dataset.
        weights: Weight of each dataset (`average_weights`).
        chosen: The datasets whose share is computed, such as those scored by ROUGE.

    Returns:
        The share, or None with fewer than two rows or with equal means.

    Raises:
        UsageError: A row lacks a dataset, or a chosen dataset has no weight.

    Source: Shorrocks, Inequality Decomposition by Factor Components, Econometrica 50 (1982).
    """
    if strange := sorted(set(chosen) - set(weights)):
        raise UsageError(f"these datasets have no weight: {', '.join(strange)}. Choose among {', '.join(weights)}.")
    for row, scores in means.items():
        if missing := [name for name in weights if name not in scores]:
            raise UsageError(
                f"row {row!r} has no score of {', '.join(missing)}. Evaluate the row on them, or leave it out."
            )
    if len(means) < 2:
        return None
    terms = np.array([[weight * scores[name] for name, weight in weights.items()] for scores in means.values()])
    terms -= terms.mean(axis=0)
    total = terms.sum(axis=1)
    part = terms[:, [name in chosen for name in weights]].sum(axis=1)
    variance = float(total @ total)
    # The averages are equal up to rounding errors.
    if variance <= len(means) * (1e-9 * sum(weights.values())) ** 2:
        return None
    return float(part @ total) / variance
