"""The per-sample scores of several evaluations of the same samples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cme.stats import average_weights
from cme.suite import datasets
from cme.suite.suites import ALL

__all__ = ["METRICS", "ScoreTable"]

Array = NDArray[np.float64]

METRICS = ("average", "chance_normalised", "soft")
"""What is measured under every mask: the CME average, the chance-normalised average, and the soft average."""


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """Scores of E evaluations on the same n_d samples of each dataset.

    Attributes:
        evaluations: names of the evaluations, [E].
        families: family of each dataset.
        ids: ids of the samples by dataset, [n_d].
        clusters: clusters of the samples by dataset, [n_d].
        options: number of options of each sample by dataset, [n_d]; 0 for free-text answers.
        scores: primary scores by dataset, [E, n_d].
        soft: soft scores by dataset, [E, n_d].
    """

    evaluations: tuple[str, ...]
    families: Mapping[str, str]
    ids: Mapping[str, tuple[str, ...]]
    clusters: Mapping[str, tuple[str, ...]]
    options: Mapping[str, NDArray[np.int64]]
    scores: Mapping[str, Array]
    soft: Mapping[str, Array]

    def __post_init__(self) -> None:
        # In one memory layout, so that sums do not depend on how the scores were read.
        for name in ("scores", "soft"):
            object.__setattr__(self, name, {key: np.ascontiguousarray(of) for key, of in getattr(self, name).items()})

    @property
    def weights(self) -> dict[str, float]:
        """The weight of each dataset in the average, in points. Datasets outside the suite have none."""
        suite = datasets(ALL)
        return average_weights({name: family for name, family in self.families.items() if name in suite})

    def values(self, metric: str) -> dict[str, Array]:
        """Return the values of a metric by dataset, [E, n_d]. Their weighted mean with `weights` is the metric.

        Args:
            metric: one of `METRICS`.
        """
        if metric == "soft":
            return dict(self.soft)
        if metric == "average":
            return dict(self.scores)
        chances = {name: float(np.mean([1 / n if n else 0.0 for n in counts])) for name, counts in self.options.items()}
        return {name: (table - chances[name]) / (1 - chances[name]) for name, table in self.scores.items()}

    def rows_of(self, names: Sequence[str]) -> list[int]:
        """Return the places of some evaluations."""
        return [self.evaluations.index(name) for name in names]
