"""The order of the training examples, which depends on the seed, the lengths, the steps and the examples per step only.

The Trainer's ``group_by_length`` draws its order from the global random state at the beginning of an epoch, so a resumed run,
or a run with more processes, sees other batches. CME computes the whole order before the first step. It is the same after an
interruption, and for any number of processes with the same number of examples per step.
"""

import math
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["steps_for", "training_order"]

_WINDOW = 50
"""Number of steps whose examples are sorted by length together, as in the Trainer's ``group_by_length``."""


def steps_for(examples: int, per_step: int, epochs: float | None, steps: int | None) -> int:
    """Return the number of optimiser steps: ``steps`` if given, or enough for ``epochs`` (1 by default), rounded up."""
    if steps is not None:
        return steps
    # The decimal number that was given: 100 · 1.1 is a little more than 110 in binary.
    share = Fraction(1) if epochs is None else Fraction(str(epochs))
    return max(1, math.ceil(examples * share / per_step))


def training_order(lengths: "NDArray[np.int32]", steps: int, per_step: int, seed: int) -> "NDArray[np.int64]":
    """Compute the order of the training examples.

    Each epoch is a new permutation of the examples, and the last step is filled up from a further permutation. Within windows
    of 50 steps, examples of similar length share a step, which saves padding, and the steps are shuffled. The step with the
    longest example comes first, so that a batch that is too large for the memory fails immediately.

    Args:
        lengths: Number of tokens of each example.
        steps: Number of optimiser steps.
        per_step: Number of examples per optimiser step, over all processes.
        seed: Seed of the order.

    Returns:
        Indices of examples, [steps · per_step]. The examples of a step are adjacent, with the longest first.
    """
    import numpy as np

    draw = np.random.default_rng(seed)
    total = steps * per_step
    epochs = -(-total // len(lengths))
    stream = np.concatenate([draw.permutation(len(lengths)) for _ in range(epochs)])[:total]
    window = _WINDOW * per_step
    for start in range(0, total, window):
        part = stream[start : start + window]
        batches = part[np.argsort(-lengths[part], kind="stable")].reshape(-1, per_step)
        stream[start : start + window] = draw.permutation(batches).reshape(-1)
    batches = stream.reshape(steps, per_step)
    longest = int(lengths[batches].max(axis=1).argmax())
    batches[[0, longest]] = batches[[longest, 0]]
    return batches.reshape(-1)
