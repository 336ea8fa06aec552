"""The order of the training examples: fixed before the first step, by seed and lengths alone.

The Trainer's own ``group_by_length`` draws its order from the global random state when an epoch begins, so a run that is
continued in a later epoch, or has more processes, sees other batches. Here the order is a list: the same after an
interruption, and for any number of processes with the same number of examples per step.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["steps_for", "training_order"]

_WINDOW = 50
"""Steps whose examples are sorted by length together, as in the Trainer's ``group_by_length``."""


def steps_for(examples: int, per_step: int, epochs: float | None, steps: int | None) -> int:
    """Optimiser steps of a run: as given, else enough for that many epochs (one by default), rounded up."""
    if steps is not None:
        return steps
    return max(1, -int(-examples * (1.0 if epochs is None else epochs) // per_step))


def training_order(lengths: "NDArray[np.int32]", steps: int, per_step: int, seed: int) -> "NDArray[np.int64]":
    """Which example comes when.

    Epochs follow one another, each a new permutation; the last step is filled up from the next one. Within windows of
    50 steps examples of similar length share a step, which saves padding, and the steps are shuffled. The step with the
    longest example comes first: a batch that does not fit the memory shows at once.

    Args:
        lengths: tokens of each example.
        steps: optimiser steps.
        per_step: examples per optimiser step, over all processes.
        seed: decides the order.

    Returns:
        Indices, [steps · per_step]; every step's examples lie together, longest first.
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
