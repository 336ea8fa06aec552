"""The primary or the soft scores of all rows of a board as one panel, and what is computed from it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cme.leaderboard.ranking.aligned_scores import Columns, panel_of
from cme.stats import Comparison, Estimate, RankRange, average_weights, compare, estimates

__all__ = ["ScoreTable", "SoftStanding"]


@dataclass(frozen=True)
class SoftStanding:
    """The soft scores of a board's rows, computed from their samples; they are built like the scores in `Standing`.

    Attributes:
        averages: soft average in points by name of the row, including references.
        families: soft family scores by family and row, including partial baselines that answer all datasets of the family.
        datasets: soft dataset scores in points by dataset and row, including partial baselines that answer the dataset.
        comparison: all pairs of rows; None where `Standing.comparison` is.
        ranks: rank ranges by name; empty without a comparison.
    """

    averages: dict[str, Estimate]
    families: dict[str, dict[str, Estimate]]
    datasets: dict[str, dict[str, Estimate]]
    comparison: Comparison | None
    ranks: dict[str, RankRange]


class ScoreTable:
    """One kind of scores (primary or soft) of all rows of a board.

    Args:
        columns: the runs of every row and reference.
        partial: the runs of every partial baseline, on the datasets that it answers.
        untrained: names of the entries without training.
        with_stderr: False at tier smoke.
        repeated: names of rows with the same trainings as another row, with the names of those rows.
        seeds: seeds of the runs of every row and reference; None if runs of one seed see other examples or another order.

    Attributes:
        panel: the scores of rows and references, without rows that repeat another one; None without any.
    """

    def __init__(
        self,
        columns: Mapping[str, Sequence[Columns]],
        partial: Mapping[str, Sequence[Columns]],
        untrained: Sequence[str],
        with_stderr: bool,
        repeated: Mapping[str, str],
        seeds: Mapping[str, Sequence[int | None]] | None,
    ) -> None:
        single = {name: runs for name, runs in columns.items() if name not in repeated}
        self._columns, self._untrained, self._with_stderr, self._seeds = single, untrained, with_stderr, seeds
        self.panel = panel_of(single, untrained=untrained, seeds=seeds) if single else None
        # A repeat takes the place of the row that it repeats, so that the seed variance of the board counts no training twice.
        self._repeats = {
            name: panel_of(
                {
                    name if row == original else row: columns[name] if row == original else runs
                    for row, runs in single.items()
                },
                untrained=untrained,
                seeds=seeds,
            )
            for name, original in repeated.items()
        }
        self._partial = [panel_of({name: runs}, untrained=[name]) for name, runs in partial.items()]

    def by_name(self, weights: Mapping[str, float], *, whole: bool = False) -> dict[str, Estimate]:
        """Return a weighted mean of every row that has all its datasets; with ``whole``, without partial baselines."""
        panels = [*([self.panel] if self.panel else []), *([] if whole else self._partial)]
        fitting = [panel for panel in panels if weights and set(weights) <= set(panel.datasets)]
        found = {
            item.row: item for panel in fitting for item in estimates(panel, weights, with_stderr=self._with_stderr)
        }
        for name, panel in self._repeats.items():
            if weights and set(weights) <= set(panel.datasets):
                every = estimates(panel, weights, with_stderr=self._with_stderr)
                found[name] = next(item for item in every if item.row == name)
        return found

    def of_families(self, counted: Mapping[str, str]) -> dict[str, dict[str, Estimate]]:
        """Return the family scores of the datasets that count, whose families are given."""
        return {
            family: self.by_name(average_weights({name: of for name, of in counted.items() if of == family}))
            for family in dict.fromkeys(counted.values())
        }

    def of_datasets(self, names: Iterable[str]) -> dict[str, dict[str, Estimate]]:
        """Return the dataset scores in points."""
        return {name: self.by_name({name: 100.0}) for name in names}

    def compare(self, rows: Sequence[str], weights: Mapping[str, float], resamples: int) -> Comparison | None:
        """Compare all pairs of rows, if there are at least two and every dataset has several clusters."""
        if self.panel is None or not self._with_stderr or len(rows) < 2:
            return None
        if any(len(sizes) < 2 for sizes in self.panel.sizes):
            return None
        columns = {name: self._columns[name] for name in rows}
        compared = panel_of(columns, untrained=self._untrained, seeds=self._seeds)
        return compare(compared, weights, resamples=resamples)

    def soft_standing(
        self, rows: Sequence[str], counted: Mapping[str, str], names: Iterable[str], resamples: int
    ) -> SoftStanding:
        """Return the standing of the rows by these scores."""
        comparison = self.compare(rows, average_weights(counted), resamples)
        return SoftStanding(
            averages=self.by_name(average_weights(counted), whole=True),
            families=self.of_families(counted),
            datasets=self.of_datasets(names),
            comparison=comparison,
            ranks=comparison.rank_ranges() if comparison else {},
        )
