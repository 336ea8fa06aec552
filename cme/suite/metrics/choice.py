"""Choice among options by their log-probabilities."""

import math
from collections.abc import Sequence

__all__ = ["choose", "gold_probability"]


def choose(logprobs: Sequence[float]) -> int:
    """Return the index of the highest log-probability, and the first index if several are equal.

    Args:
        logprobs: sum of the log-probabilities (nats) of each option's tokens, without length normalisation.
    """
    return max(range(len(logprobs)), key=lambda index: (logprobs[index], -index))


def gold_probability(logprobs: Sequence[float], gold: int) -> float:
    """Return the probability of the right option under a softmax over the options, which is less noisy than accuracy."""
    top = max(logprobs)
    weights = [math.exp(value - top) for value in logprobs]
    return weights[gold] / sum(weights)
