"""Choosing among options by their log-probabilities."""

import math
from collections.abc import Sequence

__all__ = ["binary_f1", "choose", "gold_probability", "macro_f1"]


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


def binary_f1(pairs: Sequence[tuple[int, int]], positive: int = 1) -> float:
    """F1 of one class over (gold, predicted) pairs; 0.0 if the class never occurs on either side."""
    both = sum(gold == positive and predicted == positive for gold, predicted in pairs)
    either = sum((gold == positive) + (predicted == positive) for gold, predicted in pairs)
    return 2 * both / either if either else 0.0


def macro_f1(pairs: Sequence[tuple[int, int]]) -> float:
    """Unweighted mean of the classes' F1, over the classes that occur in gold or predicted."""
    classes = sorted({label for pair in pairs for label in pair})
    return sum(binary_f1(pairs, label) for label in classes) / len(classes) if classes else 0.0
