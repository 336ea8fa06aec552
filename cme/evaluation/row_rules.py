"""Rules that choose how many rows of each dataset are evaluated."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from cme.errors import UsageError
from cme.records import Result, RowLook, RowSelection
from cme.stats import Panel
from cme.stats.sequential import FIRST_ROWS, Sequential, start, take_look
from cme.stats.until import Until
from cme.suite.precision import panel_and_weights
from cme.suite.score import Sample

__all__ = ["ByScores", "GivenRows", "Look", "RowRule", "too_many_rows", "until_precise"]


@dataclass(frozen=True)
class Look:
    """What is known when the next rows are chosen.

    Attributes:
        rows: number of evaluated rows of each dataset, equal for all models.
        available: number of rows of each dataset in the tier.
        prices: price of a row of each dataset in tokens, from the first rows (`cme.evaluation.prices`).
        samples: for each model, the rows of ``samples.parquet`` until now: the first ``rows`` ones of each dataset in tier order.
            The ids are equal for all models.
    """

    rows: dict[str, int]
    available: dict[str, int]
    prices: dict[str, float]
    samples: tuple[Sequence[Sample], ...]


class RowRule(Protocol):
    """What chooses the rows of an evaluation that grows in stages.

    Attributes:
        exact: whether the numbers of rows must be met exactly. Otherwise rows that an interrupted evaluation has begun are
            finished first, even if the rule would now choose other ones.
        kept: whether the output folder is kept after an error.
    """

    exact: bool
    kept: bool

    def first(self, names: Sequence[str], planned: Mapping[str, int] | None) -> dict[str, int]:
        """Return the number of rows of each dataset at the first stage. Smaller datasets have fewer.

        Args:
            names: names of the datasets.
            planned: as for `next`.
        """
        ...

    def next(self, look: Look, planned: Mapping[str, int] | None) -> dict[str, int] | None:
        """Return the number of rows of each dataset at the next stage, or None to stop.

        Args:
            look: the scores until now.
            planned: the rows of the next stage if an earlier evaluation in the same folder has begun it.
        """
        ...

    def selection(self, look: Look, models: Sequence[str]) -> RowSelection:
        """Return the record of the choice after `next` has returned None.

        Args:
            look: the last look.
            models: fingerprints of the evaluated models.
        """
        ...

    def extends(self, result: Result, out: Path) -> bool:
        """Return whether this rule goes on with a finished result in an output folder.

        Raises:
            UsageError: if the folder has more rows than the rule allows.
        """
        ...

    @property
    def progress(self) -> str:
        """What to show about the precision on a terminal; empty before the first look."""
        ...


class GivenRows:
    """Evaluate a given number of rows of each dataset.

    Args:
        counts: number of rows of each dataset.
        like: the selection of the result whose rows these are, or None if a user gave the numbers.
    """

    exact = kept = True
    progress = ""

    def __init__(self, counts: Mapping[str, int], like: RowSelection | None = None) -> None:
        self.counts, self.like = dict(counts), like

    def first(self, names: Sequence[str], planned: Mapping[str, int] | None) -> dict[str, int]:
        """Return the given numbers, or smaller ones that were begun before."""
        wanted = {name: self.counts[name] for name in names}
        return dict(planned) if planned and all(planned[name] <= wanted[name] for name in names) else wanted

    def next(self, look: Look, planned: Mapping[str, int] | None) -> dict[str, int] | None:
        """Return the given numbers until they are reached."""
        wanted = {name: self.counts[name] for name in look.rows}
        return None if look.rows == wanted else self.first(list(wanted), planned)

    def selection(self, look: Look, models: Sequence[str]) -> RowSelection:
        """Return the selection of the other result, or that of given numbers."""
        if self.like is not None:
            return self.like
        return RowSelection.of(
            rule="given", stopped="given", half_width=None, alpha=None, reached=None, chosen_by=(), counts=look.rows,
            available=look.available, prices={}, looks=(),
        )  # fmt: skip

    def extends(self, result: Result, out: Path) -> bool:
        """Return whether the result has fewer rows."""
        there = result.rows.counts if result.rows else {}
        if more := [name for name, count in there.items() if count > self.counts.get(name, 0)]:
            raise self._too_few(more[0], there[more[0]])
        return there != self.counts

    def _too_few(self, name: str, there: int) -> UsageError:
        return UsageError(
            f"the output folder has {there} rows of {name}, but {self.counts.get(name, 0)} were requested. An evaluation can "
            "grow but not shrink, so choose another --out."
        )


class ByScores:
    """Evaluate more rows until the scores of all models together stop it (`cme.stats.sequential`).

    Args:
        until: the rule that stops.
        panel_of: function that returns the scores of all models at a look, and the weights of the datasets in the average.
        looked: function that is called with the state after every look.
        always: whether a finished result is always continued, for example because other models are compared with it.
        kept: whether the output folder is kept after an error.
    """

    exact = False

    def __init__(
        self,
        until: Until,
        panel_of: Callable[[Look], tuple[Panel, Mapping[str, float]]],
        *,
        looked: Callable[[Sequential], None] = lambda state: None,
        always: bool = False,
        kept: bool = True,
    ) -> None:
        self.kept = kept
        self._until, self._panel_of, self._looked, self._always = until, panel_of, looked, always
        self._state: Sequential | None = None

    def first(self, names: Sequence[str], planned: Mapping[str, int] | None) -> dict[str, int]:
        """Return the same number for every dataset, or the rows that were begun before."""
        return dict(planned or dict.fromkeys(names, FIRST_ROWS))

    def next(self, look: Look, planned: Mapping[str, int] | None) -> dict[str, int] | None:
        """Take the look. Rows that were begun before are finished, even if another half-width had requested them."""
        panel, weights = self._panel_of(look)
        if self._state is None:
            begun = start(self._until, weights=weights, prices=look.prices, available=look.available)
            self._state = replace(begun, next_rows={name: look.rows[name] for name in weights})
        self._state = take_look(self._state, panel)
        self._looked(self._state)
        following = self._state.next_rows
        if following is None:
            return None
        if planned is not None:
            self._state = replace(self._state, next_rows={name: planned[name] for name in following})
            return dict(planned)
        # Datasets that do not count in the average stay as they are.
        return {**look.rows, **following}

    def selection(self, look: Look, models: Sequence[str]) -> RowSelection:
        """Return the looks and why the last one stopped."""
        state = self._state
        assert state is not None and state.reason is not None
        return RowSelection.of(
            rule="decided" if state.until.decided else "precision",
            stopped=state.reason,
            half_width=state.until.half_width,
            alpha=state.until.level,
            reached=None,
            chosen_by=tuple(models),
            counts=look.rows,
            available=look.available,
            prices=state.prices,
            looks=tuple(
                RowLook(rows=item.rows, half_width=max(one.half_width for one in item.items)) for item in state.looks
            ),
        )

    def extends(self, result: Result, out: Path) -> bool:
        """Return whether the result is less precise than requested and has not used all rows."""
        rows = result.rows
        if self._always or rows is None or rows.reached is None:
            return True
        return rows.reached > self._until.half_width and rows.stopped != "exhausted"

    @property
    def progress(self) -> str:
        """The half-width at the last look."""
        if self._state is None:
            return ""
        return f", ±{max(item.half_width for item in self._state.last.items):.2f} until now"


def until_precise(half_width: float, *, kept: bool = True) -> ByScores:
    """Make the rule for one model: evaluate until half the width of the average's 95 % interval is at most a number of points.

    Args:
        half_width: the number of points, above 0.
        kept: whether the output folder is kept after an error.

    Raises:
        UsageError: if the number is not above 0.
    """
    return ByScores(Until(half_width), lambda look: panel_and_weights(look.samples[0]), kept=kept)


def too_many_rows(dataset: str, wanted: int, available: int, tier: str) -> UsageError:
    """Make the error for a number of rows that a tier does not have."""
    return UsageError(
        f"{wanted} rows of {dataset} were requested, but tier {tier} has {available}. Request at most {available}."
    )
