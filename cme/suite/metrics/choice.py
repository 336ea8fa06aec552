"""Choosing among options by their log-probabilities."""

import math
from collections.abc import Sequence

__all__ = ["choose", "gold_probability"]


def choose(logprobs: Sequence[float]) -> int:
    """Index of the highest log-probability; the first of equal ones.

    Args:
        logprobs: summed log-probability (nats) of each option's tokens; no length normalisation.
    """
    return max(range(len(logprobs)), key=lambda index: (logprobs[index], -index))


def gold_probability(logprobs: Sequence[float], gold: int) -> float:
    """Probability of the right option under a softmax over the options: a score with less noise than right or wrong."""
    top = max(logprobs)
    weights = [math.exp(value - top) for value in logprobs]
    return weights[gold] / sum(weights)
