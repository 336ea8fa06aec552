"""Result of a comparison of rows: differences, rank ranges and the detectable difference."""

import math
from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from cme.errors import unknown

__all__ = ["Comparison", "Difference", "RankRange"]


@dataclass(frozen=True)
class Difference:
    """The first row's mean minus the second's, in the unit of the weights.

    Attributes:
        first, second: Names of the rows.
        value: The difference.
        stderr: Its standard error, paired over samples. It includes the seed variance if a row of the table has several seeds.
        low, high: Confidence interval of this single difference, without correction for the number of pairs.
        p: two-sided p-value.
        p_adjusted: p-value after Holm's correction over all pairs of the table.
        significant: Whether ``p_adjusted`` is at most the comparison's alpha.
        one_seed: Those of the two rows that were trained with one seed. Their seed variance is the mean over the methods with
            several seeds; it is unknown and not included if there are none.
        sample_stderr: The part of ``stderr`` that is due to the samples. More samples reduce it; the rest is due to seeds.
        sample_half_width: Half the width of the interval that the samples alone would give.
    """

    first: str
    second: str
    value: float
    stderr: float
    low: float
    high: float
    p: float
    p_adjusted: float
    significant: bool
    one_seed: tuple[str, ...]
    sample_stderr: float = math.nan
    sample_half_width: float = math.nan

    @property
    def seed_share(self) -> float:
        """Share of the seeds in the variance of the difference, from 0 to 1."""
        return 1 - min((self.sample_stderr / self.stderr) ** 2, 1.0) if self.stderr > 0 else 0.0

    def reversed(self) -> "Difference":
        """Return the second row minus the first."""
        return replace(self, first=self.second, second=self.first, value=-self.value, low=-self.high, high=-self.low)


@dataclass(frozen=True)
class RankRange:
    """The ranks that a row may have.

    Attributes:
        best: One more than the number of significantly better rows.
        worst: The number of all rows minus the significantly worse ones.
    """

    best: int
    worst: int


@dataclass(frozen=True)
class Comparison:
    """All pairs of a table's rows.

    Attributes:
        rows: Names of the rows.
        differences: One difference per pair, in the order of the rows.
        alpha: Family-wise level of significance. Each interval has level 1 − alpha.
        resamples: Number of resamples of the bootstrap.
    """

    rows: tuple[str, ...]
    differences: tuple[Difference, ...]
    alpha: float
    resamples: int

    def against(self, row: str) -> tuple[Difference, ...]:
        """Return every other row minus the given one, in the order of the rows.

        Raises:
            UsageError: There is no such row.
        """
        if row not in self.rows:
            raise unknown("row", row, self.rows)
        turned = (item.reversed() if item.first == row else item for item in self.differences)
        return tuple(item for item in turned if item.second == row)

    def rank_ranges(self) -> dict[str, RankRange]:
        """Return the rank range of each row. Rows have ranges and not ranks, because being tied is not transitive."""
        ranges = {}
        for row in self.rows:
            ahead = [item.value for item in self.against(row) if item.significant]
            better = sum(value > 0 for value in ahead)
            ranges[row] = RankRange(1 + better, len(self.rows) - (len(ahead) - better))
        return ranges

    def detectable(self, power: float = 0.8, among: Collection[str] | None = None) -> float | None:
        """Return the difference that one planned comparison of two rows detects with the given power.

        Args:
            power: Probability of a significant difference, between 0 and 1.
            among: Names of the rows whose pairs count. None means all rows.

        Returns:
            The median over the pairs of half the interval + z_power · standard error of the difference. None without pairs.

        Source: arXiv 2411.00640, section 5, with the measured standard errors.
        """
        from scipy.special import ndtri

        pairs = [item for item in self.differences if among is None or {item.first, item.second} <= set(among)]
        if not pairs:
            return None
        half = np.array([(item.high - item.low) / 2 for item in pairs])
        return float(np.median(half + ndtri(power) * np.array([item.stderr for item in pairs])))
