"""Plans of comparisons: seeds, samples, tokens and hours for a difference and a power, from a pilot."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from cme.errors import UsageError
from cme.leaderboard.ranking.aligned_scores import panel_of
from cme.leaderboard.ranking.example_order import same_order
from cme.leaderboard.ranking.sides import Side
from cme.stats import average_weights
from cme.stats.planning import ALPHA, PAIRED_FROM, Components, best_split, components
from cme.suite import datasets
from cme.suite.suites import ALL

__all__ = ["Planned", "Split", "plan_from"]

SEEDS = range(1, 11)
_MOST_SEEDS = 10_000
_TRIED = 50


@dataclass(frozen=True)
class Split:
    """A number of seeds with the samples that it needs.

    Attributes:
        seeds: seeds of each method.
        each: samples of each dataset, or all where a dataset has fewer; None if all samples do not suffice.
        samples: samples of all datasets together for one run; None as above.
        tokens: tokens for both methods with all seeds; None as above.
        training_hours: hours to train both methods with all seeds; None if the pilot did not record its times.
        hours: the same with the evaluation; None if the pilot did not record its times, or as above.
        detectable: difference in points that all samples detect with this number of seeds.
    """

    seeds: int
    each: int | None
    samples: int | None
    tokens: float | None
    training_hours: float | None
    hours: float | None
    detectable: float


@dataclass(frozen=True, eq=False)
class Planned:
    """A plan.

    Attributes:
        difference: the difference to detect, in points.
        power: probability of detecting it, from 0 to 1.
        parts: components of the variance in the pilot.
        pilot: names of its methods with several seeds.
        splits: one per number of seeds, from 1 on.
        best: the cheapest one with at least two seeds; None if even thousands of seeds do not suffice.
        available: samples of each dataset.
        tokens_per_sample: tokens of a sample of each dataset.
        training_seconds: time to train one run; None if it is unknown.
        seconds_per_token: time to evaluate one token; None if it is unknown.
    """

    difference: float
    power: float
    parts: Components
    pilot: tuple[str, ...]
    splits: tuple[Split, ...]
    best: Split | None
    available: dict[str, int]
    tokens_per_sample: dict[str, float]
    training_seconds: float | None
    seconds_per_token: float | None

    def budget(self, hours: float) -> tuple[float, float]:
        """Return S* and n*, the seeds and the samples of each dataset that use a budget best (`cme.stats.planning.best_split`).

        Args:
            hours: hours for both methods together.

        Raises:
            UsageError: the times are unknown, or the budget does not pay for one run of each method.
        """
        if self.training_seconds is None or self.seconds_per_token is None:
            raise UsageError(
                "the pilot recorded no training times, so a budget cannot be planned. Give the hours of one training."
            )
        one_each = sum(self.tokens_per_sample.values()) * self.seconds_per_token
        if hours * 3600 / 2 <= self.training_seconds + one_each:
            raise UsageError(
                f"{hours:g} hours do not pay for one run of each method. Their training alone takes "
                f"{2 * self.training_seconds / 3600:.2g} hours. Give a larger budget."
            )
        return best_split(self.parts, hours * 3600 / 2, self.training_seconds, one_each)


def plan_from(
    sides: Sequence[Side], *, difference: float, power: float, training_hours: float | None = None
) -> Planned:
    """Plan a comparison of two methods.

    Args:
        sides: the pilot: at least two trained methods, one with several seeds. Untrained sides, and those that only count as
            trained, are left out.
        difference: the difference to detect, in points.
        power: probability of detecting it, between 0 and 1.
        training_hours: hours to train one run, if they differ from those of the pilot or it recorded none.

    Raises:
        UsageError: the pilot or a number does not fit.
    """
    if not 0 < difference < math.inf:
        raise UsageError(f"the difference is {difference:g}. Give a number of points above 0, such as 1.")
    if not ALPHA < power < 1:
        raise UsageError(
            f"the power is {100 * power:g} %. Give a percentage above {100 * ALPHA:g} and below 100, such as 80."
        )
    if training_hours is not None and not 0 <= training_hours < math.inf:
        raise UsageError(f"the training takes {training_hours:g} hours. Give a number of at least 0.")
    trained = [side for side in sides if side.trained and not side.assumed]
    known = datasets(ALL)
    counted = {name: known[name].family for name in sides[0].runs[0].columns if name in known}
    alike = bool(trained) and same_order(run.order for side in trained for run in side.runs)
    panel = panel_of(
        {side.name: [{name: run.columns[name] for name in counted} for run in side.runs] for side in trained or sides},
        untrained=[] if trained else [side.name for side in sides],
        seeds={side.name: [run.seed for run in side.runs] for side in trained} if alike else None,
    )
    parts = components(panel, average_weights(counted))
    per_side = [side.tokens_per_sample() for side in trained]
    per_sample = {name: fmean(of[name] for of in per_side) for name in counted}
    seconds, training = _seconds(trained, per_sample), _training(trained)
    if training_hours is not None:
        training = 3600 * training_hours
    available = {name: known[name].rows["eval"] for name in counted}

    def split(seeds: int) -> Split:
        each = parts.needed(seeds, difference, power, available)
        detectable = parts.detectable(seeds, parts.samples(max(available.values()), available), power)
        trained_hours = None if training is None else 2 * seeds * training / 3600
        if each is None:
            return Split(seeds, None, None, None, trained_hours, None, detectable)
        counts = {name: min(each, count) for name, count in available.items()}
        tokens = 2 * seeds * sum(count * per_sample[name] for name, count in counts.items())
        hours = None if trained_hours is None or seconds is None else trained_hours + tokens * seconds / 3600
        return Split(seeds, each, sum(counts.values()), tokens, trained_hours, hours, detectable)

    splits = tuple(map(split, SEEDS))
    fewest = _fewest(parts, difference, power, available)
    # With more seeds each run needs fewer samples, until the training costs more than the evaluation saves.
    tried = [] if fewest is None else [split(seeds) for seeds in range(fewest, fewest + _TRIED)]
    return Planned(
        difference=difference,
        power=power,
        parts=parts,
        pilot=tuple(side.name for side in trained if len(side.runs) > 1),
        splits=splits,
        best=min(tried, key=_cost) if tried else None,
        available=available,
        tokens_per_sample=per_sample,
        training_seconds=training,
        seconds_per_token=seconds,
    )


def _fewest(parts: Components, difference: float, power: float, available: Mapping[str, int]) -> int | None:
    """Return the fewest seeds, at least two, with which all samples detect the difference."""
    samples = parts.samples(max(available.values()), available)
    # Between these numbers of seeds, the comparison and thus the components change.
    for seeds in range(2, PAIRED_FROM):
        if parts.detectable(seeds, samples, power) <= difference:
            return seeds
    low, high = PAIRED_FROM, _MOST_SEEDS
    if parts.detectable(high, samples, power) > difference:
        return None
    while low < high:
        middle = (low + high) // 2
        if parts.detectable(middle, samples, power) > difference:
            low = middle + 1
        else:
            high = middle
    return low


def _cost(split: Split) -> tuple[float, float]:
    """Return what makes a split dear: its hours, or its seeds where the times are unknown."""
    return (split.seeds if split.hours is None else split.hours), split.tokens or 0.0


def _training(sides: Sequence[Side]) -> float | None:
    times = [run.training_seconds for side in sides for run in side.runs if run.training_seconds is not None]
    return fmean(times) if times else None


def _seconds(sides: Sequence[Side], per_sample: Mapping[str, float]) -> float | None:
    """Return the mean evaluation time of a token, in seconds."""
    rates = []
    for run in (run for side in sides for run in side.runs):
        tokens = sum(len(ids) * per_sample.get(name, 0.0) for name, (ids, _, _) in run.columns.items())
        if run.seconds is not None and tokens:
            rates.append(run.seconds / tokens)
    return fmean(rates) if rates else None
