"""Critical values and p-values of one difference, from the resamples of its studentised bootstrap."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cme.stats.variance import combined_quantile

__all__ = ["Critical"]

_TAIL = 20
"""Resamples that the bootstrap's tail must hold: further out, it is extrapolated."""

_HALVINGS = 60


@dataclass(frozen=True, eq=False)
class Critical:
    """Distribution of |estimate − truth| / standard error.

    Up to the resamples' reach it is theirs; beyond, it follows the tail of Student's t, joined to theirs, so that Holm's
    correction stays usable for tables of many rows (Knijnenburg et al., Fewer permutations, more accurate P-values,
    Bioinformatics 25, 2009).

    Attributes:
        drawn: the resamples' |t|, sorted, [B].
        sample: variance from samples.
        freedom: its degrees of freedom, for the tail.
        seeds: variance from seeds; 0 if no row has several.
        seed_freedom: its degrees of freedom.
    """

    drawn: NDArray[np.float32]
    sample: float
    freedom: float
    seeds: float
    seed_freedom: float

    @property
    def stderr(self) -> float:
        """Standard error, from samples and seeds."""
        return math.sqrt(self.sample + self.seeds)

    def quantile(self, p: float) -> float:
        """The value that |t| exceeds with probability p."""
        from scipy.special import stdtrit

        of_sample = self._of_sample(p) if self.sample > 0 else 0.0
        if self.seeds == 0:
            return of_sample
        of_seeds = float(stdtrit(max(self.seed_freedom, 1.0), 1 - p / 2))
        parts = np.array([[self.sample], [of_sample], [self.seeds], [of_seeds]])
        return float(combined_quantile(*parts)[0])

    def p_value(self, difference: float) -> float:
        """Two-sided p: the smallest level at which the difference is significant."""
        statistic, low, high = abs(difference) / self.stderr, -300.0, 0.0
        if self.quantile(1.0) >= statistic:
            return 1.0
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (low, middle) if self.quantile(10**middle) < statistic else (middle, high)
        return float(10**high)

    def _of_sample(self, p: float) -> float:
        from scipy.special import stdtr, stdtrit

        total = len(self.drawn) + 1
        tail = min(_TAIL, len(self.drawn))
        joint = float(self.drawn[-tail])
        if p * total >= tail or not math.isfinite(joint):
            # Rounded, as p may stand for a whole number of resamples.
            rank = math.ceil(round((1 - p) * total, 6))
            return float(self.drawn[min(max(rank, 1), len(self.drawn)) - 1])
        # Student's tail, scaled to pass through the bootstrap's at the joint.
        scale = p * total / tail
        return -float(stdtrit(self.freedom, scale * stdtr(self.freedom, -joint)))
