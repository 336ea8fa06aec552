"""Scores of a row from the scores of its seeds."""

from collections.abc import Mapping, Sequence
from typing import Any

from cme.errors import CMEError
from cme.leaderboard.ranking.aligned_scores import Columns, columns_of, panel_of
from cme.records import DatasetScore, FamilyScore, Scores, SoftScores
from cme.stats import Estimate, average_weights, estimates
from cme.suite import datasets
from cme.suite.score import Sample
from cme.suite.suites import ALL

__all__ = ["mean_scores"]


def mean_scores(
    scores: Sequence[Scores], samples: Sequence[Sequence[Sample]], *, tier: str
) -> tuple[Scores, float | None]:
    """Compute a row's scores from those of its runs.

    Scores, metrics, subset scores and averages are means over the runs. Counts in the diagnostics are summed over the runs.
    Standard errors come from `cme.stats.estimates`; with several runs they include the variance between seeds.

    Args:
        scores: the scores of each run, on the same samples.
        samples: the samples of each run.
        tier: the tier; at ``smoke`` there are no standard errors.

    Returns:
        The scores, and the part of the average's standard error that is due to the seeds (None with one run). The other rows
        of a board do not affect them.

    Raises:
        CMEError: the runs differ in the subsets or metrics of a dataset.
    """
    first, known = scores[0], datasets(ALL)
    counted = {item.dataset: item.family for item in first.datasets if item.dataset in known}
    errors = _Errors([columns_of(of_run) for of_run in samples], counted, tier)
    soft_errors = _Errors([columns_of(of_run, soft=True) for of_run in samples], counted, tier)
    average = errors.of_average()
    rouge_free = [run.without_rouge for run in scores]
    combined = Scores(
        datasets=tuple(
            _dataset([run.datasets[k] for run in scores], errors.of_dataset(item.dataset))
            for k, item in enumerate(first.datasets)
        ),
        families=_families([run.families for run in scores], errors),
        average=_mean([run.average for run in scores]),
        average_stderr=average.stderr,
        chance_normalised=_mean([run.chance_normalised for run in scores]),
        without_rouge=None if None in rouge_free else _mean([value for value in rouge_free if value is not None]),
        complete=first.complete,
        soft=_soft([run.soft for run in scores], soft_errors),
    )
    return combined, average.seed_stderr


class _Errors:
    """Standard errors of means over runs, from the samples of each run.

    Args:
        columns: the samples of each run.
        families: family of each dataset that counts in the average.
        tier: the tier.
    """

    def __init__(self, columns: Sequence[Columns], families: Mapping[str, str], tier: str) -> None:
        self._panel, self._families, self._tier = panel_of({"row": columns}), families, tier

    def of_dataset(self, name: str) -> float | None:
        return self._estimate({name: 1.0}).stderr

    def of_family(self, family: str) -> float | None:
        members = {name: of for name, of in self._families.items() if of == family}
        return self._estimate(average_weights(members)).stderr

    def of_average(self) -> Estimate:
        return self._estimate(average_weights(self._families))

    def _estimate(self, weights: Mapping[str, float]) -> Estimate:
        return estimates(self._panel, weights, with_stderr=self._tier != "smoke")[0]


def _families(runs: Sequence[Sequence[FamilyScore]], errors: _Errors) -> tuple[FamilyScore, ...]:
    return tuple(
        FamilyScore(
            family=item.family,
            value=_mean([run[k].value for run in runs]),
            stderr=errors.of_family(item.family),
        )
        for k, item in enumerate(runs[0])
    )


def _soft(runs: Sequence[SoftScores | None], errors: _Errors) -> SoftScores | None:
    """Return the means of soft scores, or None if a run's result is from a version without them."""
    known = [run for run in runs if run is not None]
    if len(known) < len(runs):
        return None
    return SoftScores(
        datasets=tuple(
            item.replace(value=_mean([run.datasets[k].value for run in known]), stderr=errors.of_dataset(item.dataset))
            for k, item in enumerate(known[0].datasets)
        ),
        families=_families([run.families for run in known], errors),
        average=_mean([run.average for run in known]),
        average_stderr=errors.of_average().stderr,
    )


def _dataset(runs: Sequence[DatasetScore], stderr: float | None) -> DatasetScore:
    first = runs[0]
    if any(set(run.subsets) != set(first.subsets) or set(run.metrics) != set(first.metrics) for run in runs):
        raise CMEError(f"{first.dataset}: the runs differ in their subsets or metrics. Evaluate them again.")
    return first.replace(
        value=_mean([run.value for run in runs]),
        stderr=stderr,
        metrics={name: _mean([run.metrics[name] for run in runs]) for name in first.metrics},
        subsets={name: _mean([run.subsets[name] for run in runs]) for name in first.subsets},
        diagnostics=_summed(
            # What one run does not know is unknown for all of them.
            [
                {key: run.diagnostics[key] for key in run.diagnostics if all(key in of.diagnostics for of in runs)}
                for run in runs
            ]
        ),
    )


def _summed(counts: Sequence[Any]) -> Any:
    """Add up counts, or mappings of counts key by key."""
    if not isinstance(counts[0], dict):
        return sum(counts)
    keys = sorted({key for count in counts for key in count}) if len(counts) > 1 else counts[0]
    return {key: _summed([count[key] for count in counts if key in count]) for key in keys}


def _mean(values: Sequence[float]) -> float:
    return float(sum(values) / len(values))
