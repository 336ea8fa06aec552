"""Sequential evaluation: look at the results, stop, or evaluate more samples where they help most.

The looks are group-sequential with levels by Haybittle (British Journal of Radiology 44, 1971) and Peto et al. (British Journal
of Cancer 34, 1976): `INTERIM_LEVEL` at five looks and `LAST_LEVEL` at the last one. Their sum is 0.05, so the chance of any wrong
claim over all looks is at most 5 % by the union bound. The bound needs no independent increments. A cluster may therefore
straddle two looks, and earlier looks may decide how many samples of each dataset follow. If the precision alone decides when to
stop, there is one test, at level 0.05.

`start` gives the samples of the first look. `take_look` takes the scores of the requested samples and either stops or requests
more. Everything is a pure function of the scores, so a run that is resumed or repeated takes the same looks.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from cme.errors import UsageError
from cme.stats.allocation import Allocation, allocate, row_variances, shrunk
from cme.stats.compare import comparisons, holm
from cme.stats.estimate import estimates
from cme.stats.panel import Array, Panel, weight_vector
from cme.stats.until import INTERIM_LEVEL, LOOKS, Until

__all__ = ["FIRST_ROWS", "Look", "Looked", "Sequential", "run_looks", "start", "take_look"]

FIRST_ROWS = 64
"""Samples of each dataset at the first look."""

_SLACK = 1.15
"""The last few percent of precision cost most samples, so a run that may stop undecided goes to 1.15 × the variance of all."""

_STEP = 0.95
"""Each look has at most this share of the variance of the look before."""

_UNREACHABLE = 1.25
"""A half-width this far below what all samples are predicted to reach is refused after the first look."""

_WIDEST = 2.0
"""Largest square of a bootstrap quantile that a prediction uses, relative to that of the normal distribution."""

Reason = Literal["decided", "precise", "exhausted", "last look"]


@dataclass(frozen=True)
class Looked:
    """One estimate at one look: a difference of two rows, or the mean of a row alone.

    Attributes:
        first: Name of the row.
        second: Name of the row that is subtracted; None for a row alone.
        value: The estimate, in the unit of the weights.
        low, high: Confidence interval at the level of the look.
        half_width: Half the width of the part of the interval that is due to the samples, at the level of the last look.
        sample_stderr: Standard error from samples.
        stderr: Standard error from samples and seeds.
        p: Two-sided p-value; None for a row alone.
        p_adjusted: The same after Holm's correction over all pairs; 0 for a pair that was decided at a look before.
        decided_at: Number of the look at which the difference was significant; None if it is not.
    """

    first: str
    second: str | None
    value: float
    low: float
    high: float
    half_width: float
    sample_stderr: float
    stderr: float
    p: float | None
    p_adjusted: float | None
    decided_at: int | None


@dataclass(frozen=True)
class Look:
    """What one look showed.

    Attributes:
        number: Number of the look, from 1.
        rows: Samples of each dataset.
        level: Level of its tests and intervals.
        items: The estimates.
    """

    number: int
    rows: dict[str, int]
    level: float
    items: tuple[Looked, ...]


@dataclass(frozen=True)
class Sequential:
    """The state of a sequential evaluation. `plain` and `read` convert it to values for JSON and back.

    Attributes:
        until: The rule that ends it.
        weights: Weight of each dataset in the mean (`cme.stats.average_weights`).
        prices: Price of a sample of each dataset. Only their ratios matter.
        available: All samples of each dataset.
        looks: The looks until now.
        next_rows: Samples of each dataset that the next look needs, counted from the first; None at the end.
        reason: Why it ended: ``decided`` (all differences are significant), ``precise`` (the half-width is reached),
            ``exhausted`` (all samples are used), ``last look``; None before the end.
    """

    until: Until
    weights: dict[str, float]
    prices: dict[str, float]
    available: dict[str, int]
    looks: tuple[Look, ...] = ()
    next_rows: dict[str, int] | None = None
    reason: Reason | None = None

    @property
    def last(self) -> Look:
        """The last look."""
        return self.looks[-1]

    def plain(self) -> dict[str, Any]:
        """Return the state as values for JSON."""
        return {**asdict(self), "until": str(self.until)}

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> "Sequential":
        """Return the state from the values of `plain`."""
        looks = tuple(
            Look(**{**look, "items": tuple(Looked(**item) for item in look["items"])}) for look in values["looks"]
        )
        return cls(**{**values, "until": Until.parse(values["until"]), "looks": looks})


def start(
    until: Until, *, weights: Mapping[str, float], prices: Mapping[str, float], available: Mapping[str, int]
) -> Sequential:
    """Begin a sequential evaluation.

    Args:
        until: The rule that ends it.
        weights: Weight of each dataset in the mean.
        prices: Price of a sample of each dataset with a weight, above 0, such as its tokens.
        available: All samples of each dataset with a weight.

    Raises:
        UsageError: A dataset has no price or no samples.
    """
    for name in weights:
        if not prices.get(name, 0) > 0 or not available.get(name, 0) > 0:
            raise UsageError(
                f"{name} has {available.get(name, 0)} samples at a price of {prices.get(name, 0):g}; both must be above 0. "
                "Leave the dataset out."
            )
    return Sequential(
        until,
        dict(weights),
        {name: float(prices[name]) for name in weights},
        {name: int(available[name]) for name in weights},
        next_rows={name: min(FIRST_ROWS, int(available[name])) for name in weights},
    )


def take_look(state: Sequential, panel: Panel, *, resamples: int = 10_000) -> Sequential:
    """Look at the scores of the requested samples, and stop or request more.

    Args:
        state: The state before the look.
        panel: The scores of all compared rows on the first `Sequential.next_rows` samples of each dataset. If it has one row,
            the precision of its mean decides, without regard to seeds.
        resamples: Number of resamples of the bootstrap.

    Returns:
        The state with this look.

    Raises:
        UsageError: The evaluation has already ended, the panel has other numbers of samples, a dataset has one cluster, one row
            alone is to be decided, or all samples together are predicted to miss the half-width by far.
    """
    needed = state.next_rows
    if needed is None:
        raise UsageError("the evaluation has ended. Start a new one.")
    given = {name: int(sizes.sum()) for name, sizes in zip(panel.datasets, panel.sizes, strict=True)}
    if wrong := [name for name in needed if given.get(name) != needed[name]]:
        raise UsageError(
            f"the look needs {needed[wrong[0]]} samples of {wrong[0]}, but there are {given.get(wrong[0], 0)}. "
            "Evaluate the requested samples."
        )
    number, everything = len(state.looks) + 1, needed == state.available
    interim, final = _measured(state, panel, number, resamples)
    before = [item.decided_at for item in state.last.items] if state.looks else [None] * len(final)
    precise = all(
        item.half_width <= state.until.half_width for item, look in zip(final, before, strict=True) if look is None
    )
    last = precise or everything or (state.until.decided and number >= LOOKS)
    items = final if last else interim
    decided = state.until.decided and all(item.decided_at is not None for item in items)
    level = state.until.level if last or not state.until.decided else INTERIM_LEVEL
    looks = (*state.looks, Look(number, dict(needed), level, tuple(items)))
    if last or decided:
        reason: Reason = "decided" if decided else "precise" if precise else "exhausted" if everything else "last look"
        return replace(state, looks=looks, next_rows=None, reason=reason)
    return replace(state, looks=looks, next_rows=_next_rows(state, panel, items))


def run_looks(
    state: Sequential, panel_of: Callable[[Mapping[str, int]], Panel], *, resamples: int = 10_000
) -> Sequential:
    """Take looks until the end.

    Args:
        state: The state from `start`, or after any look.
        panel_of: Returns the scores of the first samples of each dataset, given their numbers.
        resamples: Number of resamples of the bootstrap.

    Returns:
        The state at the end.

    Raises:
        UsageError: As `take_look`.
    """
    while state.next_rows is not None:
        state = take_look(state, panel_of(state.next_rows), resamples=resamples)
    return state


def _measured(state: Sequential, panel: Panel, number: int, resamples: int) -> tuple[list[Looked], list[Looked]]:
    """Return the estimates as an interim look sees them, and as the last look does."""
    if len(panel.rows) == 1:
        alone = _alone(state, panel)
        return alone, alone
    levels = [INTERIM_LEVEL if state.until.decided else state.until.level, state.until.level]
    tables = comparisons(panel, state.weights, levels, resamples=resamples)
    before = [item.decided_at for item in state.last.items] if state.looks else [None] * len(tables[0].differences)
    p_values = np.array([item.p for item in tables[0].differences])
    # A pair that was decided before stays decided, so its hypothesis no longer counts in the correction.
    adjusted = holm(np.where([look is None for look in before], p_values, 0.0))
    halves = [item.sample_half_width for item in tables[1].differences]
    # If only the precision decides when to stop, looks before the last one test nothing.
    interim, final = (
        [
            Looked(
                first=item.first,
                second=item.second,
                value=item.value,
                low=item.low,
                high=item.high,
                half_width=half,
                sample_stderr=item.sample_stderr,
                stderr=item.stderr,
                p=item.p,
                p_adjusted=float(p),
                decided_at=look if look is not None else number if tests and p <= table.alpha else None,
            )
            for item, look, p, half in zip(table.differences, before, adjusted, halves, strict=True)
        ]
        for table, tests in zip(tables, (state.until.decided, True), strict=True)
    )
    return interim, final


def _alone(state: Sequential, panel: Panel) -> list[Looked]:
    if state.until.decided:
        raise UsageError(
            f"until={state.until} compares rows, but there is only {panel.rows[0]!r}. Give a half-width only."
        )
    (item,) = estimates(replace(panel, trained=(False,)), state.weights, alpha=state.until.level)
    if item.stderr is None or item.low is None or item.high is None:
        single = [name for name, sizes in zip(panel.datasets, panel.sizes, strict=True) if len(sizes) < 2]
        raise UsageError(
            f"all samples of {', '.join(single)} share one cluster, so their standard error is unknown. Leave the dataset out."
        )
    half = (item.high - item.low) / 2
    return [
        Looked(
            item.row, None, item.value, item.low, item.high, half, item.stderr, item.stderr, p=None, p_adjusted=None,
            decided_at=None,
        )
    ]  # fmt: skip


def _next_rows(state: Sequential, panel: Panel, items: Sequence[Looked]) -> dict[str, int]:
    """Return the samples of the next look. Estimates that are decided or precise enough need no more."""
    pending = np.array([item.decided_at is None and item.half_width > state.until.half_width for item in items])
    names = list(state.weights)
    order = [panel.datasets.index(name) for name in names]
    vector = weight_vector(panel, state.weights)
    now = np.array([panel.sizes[k].sum() for k in order])
    given = Allocation(
        weights=vector[order],
        variances=shrunk(row_variances(panel, vector)[pending][:, order], now),
        prices=np.array([state.prices[name] for name in names]),
        least=now,
        most=np.array([float(state.available[name]) for name in names]),
    )
    targets = _targets(state, given, [item for item, open_ in zip(items, pending, strict=True) if open_])
    samples = allocate(given, targets)
    return {name: int(count) for name, count in zip(names, samples, strict=True)}


def _targets(state: Sequential, given: Allocation, items: Sequence[Looked]) -> Array:
    """Return the variances that the next look should have, [K]."""
    from scipy.special import ndtri

    observed = np.square([item.sample_stderr for item in items])
    predicted, full = given.variance(given.least), given.variance(given.most)
    # The square of the half-width in standard errors, as the bootstrap gives it. If the rows differ in one or two samples only,
    # it is far larger than it will be with more samples.
    normal = float(ndtri(1 - state.until.level / 2)) ** 2
    quantiles = np.minimum(np.square([item.half_width for item in items]) / observed, _WIDEST * normal)
    goal = state.until.half_width**2 / quantiles
    if state.until.decided:
        goal = np.maximum(goal, _SLACK * full)
    elif not state.looks and np.any(normal * full > (_UNREACHABLE * state.until.half_width) ** 2):
        count, reached = sum(state.available.values()), float(np.sqrt(np.max(quantiles * full)))
        raise UsageError(
            f"a half-width of ±{state.until.half_width:g} points cannot be reached. All {count:,} samples would give about "
            f"±{reached:.2g}. Give a larger half-width."
        )
    remaining = max(LOOKS - 1 - len(state.looks), 1)
    targets: Array = observed * (goal / observed) ** (1 / remaining)
    return np.minimum(targets, _STEP * predicted)
