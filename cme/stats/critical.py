"""Critical values and p-values of differences, computed from the studentised bootstrap."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cme.stats.panel import Array
from cme.stats.variance import combined_quantile

__all__ = ["Critical"]

_TAIL = 20
"""Fewest resamples in the tail of the bootstrap distribution. Beyond them the tail is extrapolated."""

_HALVINGS = 60


@dataclass(frozen=True, eq=False)
class Critical:
    """Distributions of |estimate − truth| / standard error, one per pair.

    The distribution is that of the resamples where there are enough of them. Its far tail is that of Student's t, scaled to
    continue the resamples, so that Holm's correction works for tables with many rows (Knijnenburg et al., Fewer permutations,
    more accurate P-values, Bioinformatics 25, 2009).

    Attributes:
        drawn: |t| of the resamples, sorted, [P, B].
        sample: Variance from samples, [P].
        freedom: Its degrees of freedom, for the tail, [P].
        seeds: Variance from seeds, [P]; 0 if neither row was trained or no row of the table has several seeds.
        share: Share of the seeds in the critical values, from 0 to 1, [P].
        seed_freedom: Degrees of freedom of the variance from seeds, [P].
    """

    drawn: NDArray[np.float32]
    sample: Array
    freedom: Array
    seeds: Array
    share: Array
    seed_freedom: Array

    @property
    def stderr(self) -> Array:
        """Standard error, from samples and seeds, [P]."""
        error: Array = np.sqrt(self.sample + self.seeds)
        return error

    def quantile(self, p: Array) -> Array:
        """Return the values that |t| exceeds with probabilities p, both [P]."""
        from scipy.special import stdtrit

        values = self.sample_quantile(p)
        several = self.share > 0
        of_seeds = stdtrit(np.maximum(self.seed_freedom[several], 1.0), 1 - p[several] / 2)
        values[several] = combined_quantile(self.share[several], values[several], of_seeds)
        return values

    def sample_quantile(self, p: Array) -> Array:
        """Return the values that |t| would exceed with probabilities p without variance from seeds, both [P]."""
        return np.where(self.sample > 0, self._of_sample(p), 0.0)

    def p_value(self, differences: Array) -> Array:
        """Return two-sided p-values, [P] → [P].

        A p-value is the smallest level at which the difference is significant. It is 1 without a standard error.
        """
        stderr = self.stderr
        statistic = np.divide(np.abs(differences), stderr, out=np.zeros_like(stderr), where=stderr > 0)
        low, high = np.full_like(statistic, -300.0), np.zeros_like(statistic)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            beyond = self.quantile(10**middle) < statistic
            low, high = np.where(beyond, low, middle), np.where(beyond, middle, high)
        p: Array = np.where(self.quantile(np.ones_like(statistic)) >= statistic, 1.0, 10**high)
        return p

    def _of_sample(self, p: Array) -> Array:
        from scipy.special import stdtr, stdtrit

        pairs, resamples = self.drawn.shape
        total, tail = resamples + 1, min(_TAIL, resamples)
        # Rounded, because (1 − p) · total may be an integer up to rounding errors.
        ranks = np.clip(np.ceil(np.round((1 - p) * total, 6)), 1, resamples).astype(np.intp)
        values: Array = self.drawn[np.arange(pairs), ranks - 1].astype(np.float64)
        joint = self.drawn[:, -tail].astype(np.float64)
        far = (p * total < tail) & np.isfinite(joint)
        # Student's tail is scaled so that both distributions agree at the joint.
        freedom, scale = self.freedom[far], p[far] * total / tail
        values[far] = -stdtrit(freedom, scale * stdtr(freedom, -joint[far]))
        return values
