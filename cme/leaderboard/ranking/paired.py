"""Comparison of a few sides: their averages, all paired differences, families and datasets, and sequential stops."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cme.errors import UsageError
from cme.leaderboard.ranking.aligned_scores import panel_of
from cme.leaderboard.ranking.example_order import same_order
from cme.leaderboard.ranking.sides import Side
from cme.stats import Comparison, Difference, Estimate, Panel, average_weights, compare, estimates
from cme.stats.compare import by_student
from cme.stats.sequential import Sequential, run_looks, start
from cme.stats.until import Until
from cme.suite import datasets
from cme.suite.prices import row_tokens
from cme.suite.suites import ALL

__all__ = ["Paired", "compare_sides", "stored_looks"]


@dataclass(frozen=True)
class Paired:
    """The comparison of some sides.

    Attributes:
        sides: what was compared.
        samples: number of compared samples of each dataset.
        tokens: tokens that one model reads for these samples.
        tokens_recorded: whether all runs recorded their tokens; otherwise some are from `cme.suite.prices`.
        averages: CME average of each side in points.
        comparison: the differences of all pairs in points. In a sequential comparison, each is that of the look that decided it,
            or else of the last look, with the interval at the level of that look.
        families: the same for each family, in the order of the pairs. Its p-values are not corrected for the number of families.
        datasets: the same for each dataset, including those beside the suite.
        until: the looks of a sequential comparison; None if all samples were compared at once.
    """

    sides: tuple[Side, ...]
    samples: dict[str, int]
    tokens: float
    tokens_recorded: bool
    averages: tuple[Estimate, ...]
    comparison: Comparison
    families: dict[str, tuple[Difference, ...]]
    datasets: dict[str, tuple[Difference, ...]]
    until: Sequential | None


def stored_looks(sides: Sequence[Side], until: Until, *, resamples: int = 10_000) -> Sequential:
    """Take the looks that a sequential evaluation would take, at the stored samples in tier order.

    Args:
        sides: at least two sides from `cme.leaderboard.ranking.sides.read_sides`.
        until: the rule that stops.
        resamples: number of resamples of the bootstrap.

    Raises:
        UsageError: there is one side, a dataset has a single cluster, or all samples miss the half-width.
    """
    weights = average_weights(_counted(sides))
    available = _available(sides)
    state = start(
        until,
        weights=weights,
        prices={name: row_tokens(name) for name in weights},
        available={name: available[name] for name in weights},
    )
    # As in an evaluation of models, which knows no seeds, the seeds of different sides count as independent.
    looks = run_looks(state, lambda samples: _panel(sides, samples, by_seed=False), resamples=resamples)
    _check_reached(looks)
    return looks


def compare_sides(sides: Sequence[Side], *, looks: Sequential | None = None, resamples: int = 10_000) -> Paired:
    """Compare sides that were evaluated on the same samples.

    Args:
        sides: at least two sides from `cme.leaderboard.ranking.sides.read_sides`.
        looks: a sequential comparison of them that has ended. None compares all samples.
        resamples: number of resamples of the bootstrap.

    Raises:
        UsageError: a dataset has a single cluster.
    """
    counted, available = _counted(sides), _available(sides)
    weights = average_weights(counted)
    if looks is not None:
        # A dataset beside the suite does not count, so no look needs more of it.
        available = {name: looks.last.rows.get(name, count) for name, count in available.items()}
    panel = _panel(sides, available)
    if looks is None:
        comparison = compare(panel, weights, resamples=resamples)
    else:
        comparison = _claims(looks, sides, resamples)
    per_sample = [side.tokens_per_sample() for side in sides]
    tokens = sum(count * sum(of[name] for of in per_sample) / len(sides) for name, count in available.items())
    families = list(dict.fromkeys(counted.values()))
    return Paired(
        sides=tuple(sides),
        samples=available,
        tokens=tokens,
        tokens_recorded=all(run.tokens.get(name) for side in sides for run in side.runs for name in available),
        averages=estimates(panel, weights),
        comparison=comparison,
        families={
            family: by_student(
                panel, average_weights({name: of for name, of in counted.items() if of == family})
            ).differences
            for family in families
        },
        datasets={name: by_student(panel, {name: 100.0}).differences for name in available},
        until=looks,
    )


def _counted(sides: Sequence[Side]) -> dict[str, str]:
    """Return the family of each dataset that counts in the average."""
    known = datasets(ALL)
    return {name: known[name].family for name in sides[0].runs[0].columns if name in known}


def _available(sides: Sequence[Side]) -> dict[str, int]:
    return {name: len(ids) for name, (ids, _, _) in sides[0].runs[0].columns.items()}


def _panel(sides: Sequence[Side], samples: Mapping[str, int], *, by_seed: bool = True) -> Panel:
    """Return the scores of the first samples of each dataset.

    The seeds of the runs come with them if runs of one seed see the same examples in the same order, unless ``by_seed`` is False.
    """
    first = {
        side.name: [{name: _first(run.columns[name], count) for name, count in samples.items()} for run in side.runs]
        for side in sides
    }
    alike = by_seed and same_order(run.order for side in sides if side.trained for run in side.runs)
    seeds = {side.name: [run.seed for run in side.runs] for side in sides} if alike else None
    return panel_of(first, untrained=[side.name for side in sides if not side.trained], seeds=seeds)


def _first(column: tuple[list[str], list[str], Any], count: int) -> tuple[list[str], list[str], Any]:
    ids, clusters, values = column
    return ids[:count], clusters[:count], values[:count]


def _claims(looks: Sequential, sides: Sequence[Side], resamples: int) -> Comparison:
    """Return each difference at the look that decided it, or else at the last look."""
    single = {side.name for side in sides if side.trained and len(side.runs) == 1}
    differences = []
    for k, last in enumerate(looks.last.items):
        item = looks.looks[last.decided_at - 1].items[k] if last.decided_at else last
        assert item.second is not None and item.p is not None and item.p_adjusted is not None
        differences.append(
            Difference(
                first=item.first,
                second=item.second,
                value=item.value,
                stderr=item.stderr,
                low=item.low,
                high=item.high,
                p=item.p,
                p_adjusted=item.p_adjusted,
                significant=last.decided_at is not None,
                one_seed=tuple(name for name in (item.first, item.second) if name in single),
                sample_stderr=item.sample_stderr,
                sample_half_width=item.half_width,
            )
        )
    return Comparison(tuple(side.name for side in sides), tuple(differences), looks.last.level, resamples)


def _check_reached(looks: Sequential) -> None:
    """Refuse a half-width that all samples together miss, if the precision was all that was asked for."""
    reached = max(item.half_width for item in looks.last.items)
    if not looks.until.decided and reached > looks.until.half_width:
        count = sum(looks.last.rows.values())
        raise UsageError(
            f"a half-width of ±{looks.until.half_width:g} points cannot be reached. All {count:,} samples give ±{reached:.2f}. "
            "Give a larger half-width, or evaluate at a larger tier."
        )
