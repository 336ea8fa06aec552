"""Scores of a row from the scores of its seeds."""

from collections.abc import Sequence
from typing import Any

from cme.errors import CMEError
from cme.leaderboard.ranking.aligned_scores import Columns, panel_of
from cme.records import DatasetScore, FamilyScore, Scores
from cme.stats import Estimate, average_weights, estimates
from cme.suite import datasets

__all__ = ["mean_scores"]


def mean_scores(scores: Sequence[Scores], columns: Sequence[Columns], *, tier: str) -> tuple[Scores, float | None]:
    """Compute a row's scores from those of its runs.

    Scores, metrics, subset scores and averages are means over the runs. Counts in the diagnostics are summed over the runs.
    Standard errors come from `cme.stats.estimates`; with several runs they include the variance between seeds.

    Args:
        scores: the scores of each run, on the same samples.
        columns: the samples of each run.
        tier: the tier; at ``smoke`` there are no standard errors.

    Returns:
        The scores, and the part of the average's standard error that is due to the seeds (None with one run). The other rows
        of a board do not affect them.

    Raises:
        CMEError: the runs differ in the subsets or metrics of a dataset.
    """
    panel = panel_of({"row": columns})
    first = scores[0]
    known = datasets()
    counted = {item.dataset: item.family for item in first.datasets if item.dataset in known}

    def estimate(weights: dict[str, float]) -> Estimate:
        return estimates(panel, weights, with_stderr=tier != "smoke")[0]

    def of_family(family: str) -> Estimate:
        return estimate(average_weights({name: of for name, of in counted.items() if of == family}))

    average = estimate(average_weights(counted))
    rouge_free = [run.without_rouge for run in scores]
    combined = Scores(
        datasets=tuple(
            _dataset([run.datasets[k] for run in scores], estimate({item.dataset: 1.0}).stderr)
            for k, item in enumerate(first.datasets)
        ),
        families=tuple(
            FamilyScore(
                family=item.family,
                value=_mean([run.families[k].value for run in scores]),
                stderr=of_family(item.family).stderr,
            )
            for k, item in enumerate(first.families)
        ),
        average=_mean([run.average for run in scores]),
        average_stderr=average.stderr,
        chance_normalised=_mean([run.chance_normalised for run in scores]),
        without_rouge=None if None in rouge_free else _mean([value for value in rouge_free if value is not None]),
        complete=first.complete,
    )
    return combined, average.seed_stderr


def _dataset(runs: Sequence[DatasetScore], stderr: float | None) -> DatasetScore:
    first = runs[0]
    if any(set(run.subsets) != set(first.subsets) or set(run.metrics) != set(first.metrics) for run in runs):
        raise CMEError(f"{first.dataset}: the runs differ in their subsets or metrics. Evaluate them again.")
    return first.replace(
        value=_mean([run.value for run in runs]),
        stderr=stderr,
        metrics={name: _mean([run.metrics[name] for run in runs]) for name in first.metrics},
        subsets={name: _mean([run.subsets[name] for run in runs]) for name in first.subsets},
        diagnostics=_summed([run.diagnostics for run in runs]),
    )


def _summed(counts: Sequence[Any]) -> Any:
    """Add up counts, or mappings of counts key by key."""
    if not isinstance(counts[0], dict):
        return sum(counts)
    keys = sorted({key for count in counts for key in count}) if len(counts) > 1 else counts[0]
    return {key: _summed([count[key] for count in counts if key in count]) for key in keys}


def _mean(values: Sequence[float]) -> float:
    return float(sum(values) / len(values))
