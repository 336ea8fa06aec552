"""Is "expert i in every layer" different from an arbitrary bundle of one expert per layer?

The number of an expert means nothing across layers, unless training gave it a meaning. If it means nothing, new numbers, drawn at
random in every layer, give bundles that are as good as those with equal numbers, so the p-value is exact.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cme.records.validation import BundleTest

__all__ = ["bundle_test", "drawn_bundles"]

Array = NDArray[np.float64]

_ROUNDING = 1e-6
"""Largest difference of two statistics that counts as rounding, relative to the largest one."""


def drawn_bundles(
    layers: Sequence[str], experts: int, draws: int, *, seed: int = 0
) -> list[list[dict[str, tuple[int]]]]:
    """Draw bundles: in each draw, every layer gives its experts to the k bundles in a random order.

    Args:
        layers: names of the layers.
        experts: number of experts, k.
        draws: number of draws.
        seed: seed of the draws. More draws begin with the same ones.

    Returns:
        The k bundles of each draw, each with one expert by name of the layer.
    """
    generator = np.random.default_rng(seed)
    drawn = []
    for _ in range(draws):
        orders = np.stack([generator.permutation(experts) for _ in layers])
        drawn.append(
            [{layer: (int(orders[place, bundle]),) for place, layer in enumerate(layers)} for bundle in range(experts)]
        )
    return drawn


def bundle_test(observed: ArrayLike, losses: ArrayLike, *, seed: int = 0) -> BundleTest:
    """Compare the bundles with equal numbers with the drawn ones.

    Args:
        observed: loss of each expert alone, with equal numbers in all layers, [k].
        losses: losses of the drawn bundles, [draws, k].
        seed: seed of the draws.
    """
    own, drawn = np.asarray(observed, dtype=np.float64), np.asarray(losses, dtype=np.float64)
    every = np.vstack([own, drawn])
    distances = np.square(every - every.mean()).mean(axis=1)
    # With one layer, every draw has the same bundles in another order. Rounding must not decide whether they are equal.
    least = distances[0] - _ROUNDING * max(distances.max(), np.finfo(float).tiny)
    return BundleTest(
        draws=len(drawn),
        seed=seed,
        observed=tuple(own.tolist()),
        losses=tuple(tuple(row) for row in drawn.tolist()),
        mean=float(drawn.mean()),
        below=tuple(float((drawn < value).mean()) for value in own),
        distance=float(distances[0]),
        distances=tuple(distances[1:].tolist()),
        p=float((distances >= least).mean()),
    )
