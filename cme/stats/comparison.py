"""What comes out of comparing the rows of a table: differences, rank ranges, the difference that can be detected."""

from dataclasses import dataclass, replace

import numpy as np

from cme.errors import unknown

__all__ = ["Comparison", "Difference", "RankRange"]


@dataclass(frozen=True)
class Difference:
    """The first row's mean minus the second's, in the unit of the weights.

    Attributes:
        first, second: names of the rows.
        value: the difference.
        stderr: its standard error: paired over samples and, for rows with several seeds, with their seed variance.
        low, high: confidence interval, of this difference alone.
        p: two-sided p-value.
        p_adjusted: Holm's, over all pairs of the table.
        significant: whether ``p_adjusted`` is at most the comparison's alpha.
        one_seed: which of the two rows have one seed only: their seed variance is unknown and not in here.
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

    def reversed(self) -> "Difference":
        """The second row minus the first."""
        return replace(self, first=self.second, second=self.first, value=-self.value, low=-self.high, high=-self.low)


@dataclass(frozen=True)
class RankRange:
    """The ranks a row may have: one more than the rows significantly better, up to all but those significantly worse."""

    best: int
    worst: int


@dataclass(frozen=True)
class Comparison:
    """All pairs of a table's rows.

    Attributes:
        rows: names.
        differences: one per pair, in the order of the rows.
        alpha: family-wise level of significance; the intervals have level 1 − alpha each.
        resamples: of the bootstrap.
    """

    rows: tuple[str, ...]
    differences: tuple[Difference, ...]
    alpha: float
    resamples: int

    def against(self, row: str) -> tuple[Difference, ...]:
        """Every other row minus this one, in the order of the rows.

        Raises:
            UsageError: no such row.
        """
        if row not in self.rows:
            raise unknown("row", row, self.rows)
        turned = (item.reversed() if item.first == row else item for item in self.differences)
        return tuple(item for item in turned if item.second == row)

    def rank_ranges(self) -> dict[str, RankRange]:
        """The range of ranks of each row; being tied is not transitive, so rows share ranges, not ranks."""
        ranges = {}
        for row in self.rows:
            ahead = [item.value for item in self.against(row) if item.significant]
            better = sum(value > 0 for value in ahead)
            ranges[row] = RankRange(1 + better, len(self.rows) - (len(ahead) - better))
        return ranges

    def detectable(self, power: float = 0.8) -> float | None:
        """The difference that one planned comparison in this table finds with this probability: the median over pairs.

        Returns:
            Half the interval + z_power · standard error of the paired difference; None without pairs.

        Source: arXiv 2411.00640, section 5, with the measured standard errors.
        """
        from scipy.special import ndtri

        if not self.differences:
            return None
        half = np.array([(item.high - item.low) / 2 for item in self.differences])
        return float(np.median(half + ndtri(power) * np.array([item.stderr for item in self.differences])))
