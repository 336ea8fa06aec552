"""Pairs of methods on datasets of the published sizes, and what sequential comparisons of them find."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtrit

from cme.stats import Panel
from cme.stats.sequential import run_looks, start
from cme.stats.until import Until
from cme.suite import datasets
from cme.suite.prices import row_tokens

LEVEL = 0.6
WITHIN = {"squad_v2": 10, "race": 4, "anli": 2}
"""Samples per cluster where questions share a text."""

_SHARED = 0.965
"""Variance of what both methods share, out of 1. 64 samples of each dataset then give a standard error of 0.8 points."""

_CLUSTER = 0.4
"""Share of the clusters in the rest of the variance."""

RESAMPLES = 20
"""Quantiles that stand in for the bootstrap, whose tail `Critical` computes from the last 20 of them."""


@dataclass(frozen=True)
class Dataset:
    """A dataset of a simulation: its samples, the samples of each cluster, its weight in points, and tokens per sample."""

    samples: int
    within: int
    weight: float
    price: float


def suite(most: int) -> dict[str, Dataset]:
    """The datasets of the suite with at most a number of samples."""
    known = datasets()
    families = [spec.family for spec in known.values()]
    return {
        name: Dataset(
            min(spec.rows["eval"], most),
            WITHIN.get(name, 1),
            100 / len(set(families)) / families.count(spec.family),
            row_tokens(name),
        )
        for name, spec in known.items()
    }


@dataclass(frozen=True)
class Outcomes:
    """Over many tables.

    Attributes:
        decided: share of the tables in which the difference was significant.
        wrong: share of the tables in which the significant difference had the other sign than the true one, or there is none.
        coverage: share of the tables whose interval contains the true difference.
        tokens: mean tokens for one model.
        looks: mean number of looks.
    """

    decided: float
    wrong: float
    coverage: float
    tokens: float
    looks: float


class Table:
    """The answers of two methods, of which the first is better by a number of points. Clusters are mixed over the samples."""

    def __init__(
        self, rng: np.random.Generator, sizes: Mapping[str, Dataset], difference: float, seeds: int, spread: float
    ) -> None:
        thresholds = ndtri([LEVEL + difference / 200, LEVEL - difference / 200])
        density = 100 * np.exp(-0.5 * ndtri(LEVEL) ** 2) / np.sqrt(2 * np.pi)
        latent = spread / density
        of_seed = latent * rng.standard_normal((2, seeds, 1), dtype=np.float32)
        self._seeds = seeds
        self._answers: dict[str, np.ndarray] = {}
        self._clusters: dict[str, np.ndarray] = {}
        for name, of in sizes.items():
            count = -(-of.samples // of.within)
            cluster = rng.permutation(of.samples) % count
            shared = np.sqrt(_SHARED) * rng.standard_normal(of.samples, dtype=np.float32)
            together = _CLUSTER if of.within > 1 else 0.0
            own = np.sqrt((1 - _SHARED) * (1 - together)) * rng.standard_normal(
                (2, seeds, of.samples), dtype=np.float32
            )
            if together:
                drawn = rng.standard_normal((2, 1, count), dtype=np.float32)
                own += np.sqrt((1 - _SHARED) * together) * drawn[..., cluster]
            right = shared + own + of_seed < (thresholds * np.sqrt(1 + latent**2))[:, None, None]
            self._answers[name] = right.reshape(2 * seeds, of.samples)
            self._clusters[name] = cluster

    def panel(self, rows: Mapping[str, int]) -> Panel:
        """The panel of the first samples."""
        means, sizes, deviations = [], [], []
        for name, count in rows.items():
            scores = self._answers[name][:, :count].T.astype(np.float64)
            mean = scores.mean(axis=0)
            _, index = np.unique(self._clusters[name][:count], return_inverse=True)
            clusters = int(index.max()) + 1
            sizes.append(np.bincount(index).astype(np.float64))
            if clusters == count:
                sums = scores - mean
            else:
                sums = np.stack([np.bincount(index, run, clusters) for run in (scores - mean).T], axis=1)
            means.append(mean)
            deviations.append(sums)
        return Panel(
            ("a", "b"), (self._seeds,) * 2, tuple(rows), np.stack(means), tuple(sizes), tuple(deviations), (True,) * 2
        )


def student(panel, weights, pairs, *, resamples, seed, bar):
    """Student's t in place of the bootstrap."""
    freedom = sum(len(sizes) - 1 for sizes in panel.sizes)
    quantiles = stdtrit(freedom, 1 - np.arange(RESAMPLES, 0, -1) / (RESAMPLES + 1) / 2).astype(np.float32)
    return np.broadcast_to(quantiles, (len(pairs.first), RESAMPLES))


def simulate(
    until: str, difference: float, tables: int, *, most: int = 50_000, seeds: int = 1, spread: float = 0.0, key: int = 0
) -> Outcomes:
    """Compare the two methods of many tables.

    Args:
        until: the stopping rule.
        difference: what the first method is better by, in points.
        tables: number of tables.
        most: most samples of a dataset.
        seeds: runs of each method.
        spread: standard deviation of a method's score between seeds, in points.
        key: seed of the random numbers.
    """
    sizes = suite(most)
    begun = start(
        Until.parse(until),
        weights={name: of.weight for name, of in sizes.items()},
        prices={name: of.price for name, of in sizes.items()},
        available={name: of.samples for name, of in sizes.items()},
    )
    rng = np.random.default_rng([key, seeds, int(100 * difference), int(100 * spread)])
    decided = wrong = held = looks = tokens = 0.0
    for _ in range(tables):
        state = run_looks(begun, Table(rng, sizes, difference, seeds, spread).panel)
        (item,) = state.last.items
        found = item.decided_at is not None
        decided += found
        wrong += found and item.value * difference <= 0
        held += item.low <= difference <= item.high
        looks += len(state.looks)
        tokens += sum(count * sizes[name].price for name, count in state.last.rows.items())
    return Outcomes(*(value / tables for value in (decided, wrong, held, tokens, looks)))
