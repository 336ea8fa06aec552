"""Tables of simulated scores with known true values."""

from collections.abc import Mapping, Sequence

import numpy as np

from cme.stats import Panel, make_panel


def simulated(
    rng: np.random.Generator,
    *,
    sizes: Mapping[str, Sequence[int]],
    levels: Sequence[float],
    seeds: int = 1,
    seed_spread: float = 0.0,
    blind: bool = False,
    common: float | None = None,
) -> Panel:
    """Simulate answers. A score is 1 if a sum of normal effects is below the level of the row, and 0 otherwise.

    Effects, with variances: of the sample 0.3 (half of it shared by its cluster), of row and cluster 0.3, of row and sample 0.2,
    of seed and sample 0.2, of the seed ``seed_spread``². Rows are therefore correlated, and clusters affect their differences.

    Args:
        rng: Random number generator.
        sizes: Number of samples of each cluster, by dataset.
        levels: Level of each row in standard deviations of the sum, ``ndtri(probability of a right answer)``.
        seeds: Number of seeds of each row.
        seed_spread: Standard deviation of a seed's effect on all samples of all datasets.
        blind: Whether the table treats every sample as its own cluster.
        common: Correlation of the effects of one seed on two rows, with which the table knows its seeds. None makes them
            independent, and their numbers unknown.
    """
    scores: dict[str, dict[str, np.ndarray]] = {f"row {m}": {} for m in range(len(levels))}
    of_seed = seed_spread * rng.standard_normal((len(levels), seeds, 1))
    if common is not None:
        of_seed = np.sqrt(1 - common) * of_seed + np.sqrt(common) * seed_spread * rng.standard_normal((1, seeds, 1))
    labels = {name: np.repeat(np.arange(len(counts)), counts) for name, counts in sizes.items()}
    for name, cluster in labels.items():
        count, samples = len(sizes[name]), len(cluster)
        shared = np.sqrt(0.15) * (rng.standard_normal(count)[cluster] + rng.standard_normal(samples))
        for m, level in enumerate(levels):
            own = np.sqrt(0.3) * rng.standard_normal(count)[cluster] + np.sqrt(0.2) * rng.standard_normal(samples)
            total = shared + own + np.sqrt(0.2) * rng.standard_normal((seeds, samples)) + of_seed[m]
            scores[f"row {m}"][name] = (total < level * np.sqrt(1 + seed_spread**2)).astype(float)
    known = {name: np.arange(len(cluster)) if blind else cluster for name, cluster in labels.items()}
    numbers = None if common is None else dict.fromkeys(scores, range(seeds))
    return make_panel(scores, {name: [str(k) for k in cluster] for name, cluster in known.items()}, seeds=numbers)


def equal_weights(panel: Panel) -> dict[str, float]:
    """Every dataset counts the same, in points."""
    return dict.fromkeys(panel.datasets, 100 / len(panel.datasets))
