"""Tables of equally good methods with several seeds, and how often their intervals and tests are wrong."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtrit

from cme.stats import Panel, estimates
from cme.stats.bootstrap import Pairs
from cme.stats.compare import critical_values

DATASETS, SAMPLES, LEVEL = 22, 64, 0.6
LEVELS = (0.05, 0.04, 0.002)

_WEIGHTS = np.full(DATASETS, 100 / DATASETS)
_NAMES = tuple(f"d{k}" for k in range(DATASETS))
_FREEDOM = float(DATASETS * (SAMPLES - 1))

RESAMPLES = 20
"""Quantiles that stand in for the bootstrap, whose tail `Critical` computes from the last 20 of them."""


@dataclass(frozen=True)
class Errors:
    """Shares of tables, or of rows.

    Attributes:
        family: for each of `LEVELS`, the share of tables in which a pair is significant after Holm's correction.
        coverage: share of the rows whose interval contains the method's score.
        lowest: the same for the third of the rows of a table whose runs happen to differ least.
    """

    family: tuple[float, ...]
    coverage: float
    lowest: float


def draw_table(
    rng: np.random.Generator, seeds: Sequence[int], spreads: Sequence[float], common: float | None = None
) -> Panel:
    """Draw the panel of a table whose methods all have the score 100 · `LEVEL`.

    An answer is right if a sum of normal effects is below a threshold: of the sample (variance 0.3), of method and sample
    (0.5), of run and sample (0.2), and of the run.

    Args:
        rng: random numbers.
        seeds: runs of each row.
        spreads: standard deviation of each method's score between seeds, in points.
        common: correlation of the effects of one seed on two methods, with which the panel knows its seeds. None makes them
            independent, and their numbers unknown.
    """
    shape = (DATASETS, SAMPLES)
    # A shift of the threshold by one standard deviation changes the score by the density there.
    density = 100 * np.exp(-0.5 * ndtri(LEVEL) ** 2) / np.sqrt(2 * np.pi)
    shared = np.sqrt(0.3) * rng.standard_normal(shape, dtype=np.float32)
    of_seeds = np.zeros(max(seeds)) if common is None else np.sqrt(common) * rng.standard_normal(max(seeds))
    runs = []
    for count, spread in zip(seeds, spreads, strict=True):
        own = shared + np.sqrt(0.5) * rng.standard_normal(shape, dtype=np.float32)
        latent = spread / density
        total = own + np.sqrt(0.2) * rng.standard_normal((count, *shape), dtype=np.float32)
        of_run = np.sqrt(1 - (common or 0.0)) * rng.standard_normal(count) + of_seeds[:count]
        total += latent * of_run[:, None, None]
        runs.append(total < ndtri(LEVEL) * np.sqrt(1 + latent**2))
    scores = np.concatenate(runs).astype(np.float64).transpose(1, 2, 0)
    means = scores.mean(axis=1)
    return Panel(
        rows=tuple(f"row {k}" for k in range(len(seeds))),
        seeds=tuple(seeds),
        datasets=_NAMES,
        means=means,
        sizes=(np.ones(SAMPLES),) * DATASETS,
        deviations=tuple(scores - means[:, None]),
        trained=(True,) * len(seeds),
        labels=() if common is None else tuple(seed for count in seeds for seed in range(count)),
    )


def measure_errors(
    rng: np.random.Generator,
    tables: int,
    seeds: Sequence[int],
    spreads: Sequence[float],
    common: float | None = None,
) -> Errors:
    """Draw many tables. Student's t stands in for the bootstrap, which is exact here because all samples are alike."""
    pairs = Pairs.of(len(seeds))
    count = len(pairs.first)
    total = RESAMPLES + 1
    quantiles = stdtrit(_FREEDOM, 1 - np.arange(RESAMPLES, 0, -1) / total / 2)
    drawn = np.broadcast_to(quantiles.astype(np.float32), (count, RESAMPLES))
    weights = dict(zip(_NAMES, _WEIGHTS, strict=True))
    wrong, held, lowest = np.zeros(len(LEVELS)), [], []
    for _ in range(tables):
        panel = draw_table(rng, seeds, spreads, common)
        tests = critical_values(panel, _WEIGHTS, pairs, drawn)
        differences = np.abs(pairs.minus(panel.over_seeds(_WEIGHTS @ panel.means)))
        # Holm's first step: nothing is significant unless the smallest p-value is at most level / pairs.
        for k, level in enumerate(LEVELS):
            wrong[k] += np.any(differences > tests.quantile(np.full(count, level / count)) * tests.stderr)
        inside = np.array([item.low <= 100 * LEVEL <= item.high for item in estimates(panel, weights)])
        held.append(inside.mean())
        averages = _WEIGHTS @ panel.means
        between = panel.over_seeds(np.square(averages - panel.over_runs(panel.over_seeds(averages))))
        between /= np.maximum(np.asarray(panel.seeds) - 1, 1)
        lowest.append(inside[np.argsort(between, kind="stable")[: max(len(seeds) // 3, 1)]].mean())
    return Errors(tuple(wrong / tables), float(np.mean(held)), float(np.mean(lowest)))
