"""What moves an average besides chance: the wording of the prompt, and single datasets."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cme.errors import UsageError

__all__ = ["Spread", "prompt_sensitivity", "variance_share"]


@dataclass(frozen=True)
class Spread:
    """How far scores lie apart.

    Attributes:
        std: sample standard deviation.
        low, high: the extremes.
    """

    std: float
    low: float
    high: float

    @property
    def range(self) -> float:
        """Highest minus lowest."""
        return self.high - self.low


def prompt_sensitivity(scores: Sequence[float]) -> Spread:
    """Spread of one score of one model over paraphrases of the instruction.

    Sampling noise is in it only as far as paraphrases change answers: all are asked about the same samples.

    Args:
        scores: one per paraphrase, in any unit.

    Raises:
        UsageError: there are fewer than two.
    """
    if len(scores) < 2:
        raise UsageError(f"{len(scores)} paraphrase shows no spread. Evaluate at least two.")
    return Spread(float(np.std(scores, ddof=1)), float(min(scores)), float(max(scores)))


def variance_share(
    means: Mapping[str, Mapping[str, float]], weights: Mapping[str, float], chosen: Collection[str]
) -> float | None:
    """Share of the variance of a weighted mean between rows that some datasets carry.

    The average is a sum of one term per dataset, and its variance the sum of each term's covariance with it; the shares of
    all datasets sum to 1. A share is negative where the datasets rank rows against the average, and above 1 where the others do.

    Args:
        means: row → dataset → mean score.
        weights: dataset → weight (`average_weights`).
        chosen: the datasets in question, such as those scored by ROUGE.

    Returns:
        The share; None with fewer than two rows or with equal averages.

    Raises:
        UsageError: a row lacks a dataset, or a chosen dataset has no weight.

    Source: Shorrocks, Inequality Decomposition by Factor Components, Econometrica 50 (1982).
    """
    if strange := sorted(set(chosen) - set(weights)):
        raise UsageError(f"{', '.join(strange)} do not count in the average. Choose among {', '.join(weights)}.")
    for row, scores in means.items():
        if missing := [name for name in weights if name not in scores]:
            raise UsageError(
                f"row {row!r} has no score of {', '.join(missing)}. Evaluate it there, or leave the row out."
            )
    if len(means) < 2:
        return None
    terms = np.array([[weight * scores[name] for name, weight in weights.items()] for scores in means.values()])
    terms -= terms.mean(axis=0)
    total = terms.sum(axis=1)
    part = terms[:, [name in chosen for name in weights]].sum(axis=1)
    variance = float(total @ total)
    # Rows with equal averages differ by rounding alone.
    if variance <= len(means) * (1e-9 * sum(weights.values())) ** 2:
        return None
    return float(part @ total) / variance
