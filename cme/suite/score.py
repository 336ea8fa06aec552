"""Aggregation of per-sample scores into dataset scores, family scores and the average of a suite."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from cme.errors import DataError, UsageError
from cme.records import DatasetScore, FamilyScore, Scores, SoftDatasetScore, SoftScores
from cme.stats import clustered_stderr, stderr_of_mean
from cme.suite.metrics import binary_f1, macro_f1
from cme.suite.scorer import SCORER_VERSION
from cme.suite.spec import DatasetSpec, datasets
from cme.suite.suites import ALL, SUITES, Suite, suite_of_families

__all__ = [
    "ROUGE_FAMILY",
    "SCORER_VERSION",
    "Sample",
    "aggregate",
    "explain",
    "score_dataset",
    "soft_score",
    "suite_of",
    "without_rouge",
]

ROUGE_FAMILY = "text_summarization"

Sample = Mapping[str, Any]
"""A row of ``samples.parquet``: id, dataset, part (the subset), cluster, score, scores {name: value}, options, gold, predicted,
gold_probability, empty, truncated, cut."""


def soft_score(sample: Sample) -> float:
    """Return the soft score of a sample, in [0, 1].

    For a choice it is the probability of the right option under a softmax over the options, from the log-probabilities from
    which the option is chosen (`cme.suite.metrics.choose`), so it has no length normalisation either. For a free-text answer it
    is the primary score.
    """
    return float(sample["gold_probability"] if sample["options"] else sample["score"])


def score_dataset(samples: Sequence[Sample], spec: DatasetSpec, *, with_stderr: bool = True) -> DatasetScore:
    """Score one dataset from its samples.

    Args:
        samples: the samples of this dataset, at least one.
        spec: the dataset.
        with_stderr: whether to compute a standard error; False at tier smoke, which has too few samples.
    """
    primary = [float(sample["score"]) for sample in samples]
    clusters = [sample["cluster"] for sample in samples]
    metrics = {name: _mean([float(sample["scores"][name]) for sample in samples]) for name in spec.metrics}
    if spec.kind == "choice":
        metrics["gold_probability"] = _mean([float(sample["gold_probability"]) for sample in samples])
        pairs = [(int(sample["gold"]), int(sample["predicted"])) for sample in samples]
        corpus = {"f1": binary_f1, "macro_f1": macro_f1}
        metrics |= {name: corpus[name](pairs) for name in spec.corpus_metrics}
    subsets: dict[str, list[float]] = defaultdict(list)
    for sample, value in zip(samples, primary, strict=True):
        subsets[sample["part"]].append(value)
    return DatasetScore(
        dataset=spec.name,
        family=spec.family,
        metric=spec.primary_metric,
        n=len(samples),
        clusters=len(set(clusters)),
        value=_mean(primary),
        stderr=clustered_stderr(primary, clusters) if with_stderr else None,
        chance=_mean([1 / sample["options"] if sample["options"] else 0.0 for sample in samples]),
        metrics=metrics,
        subsets={name: _mean(values) for name, values in sorted(subsets.items())} if len(subsets) > 1 else {},
        diagnostics=_diagnostics(samples, spec),
    )


def aggregate(samples: Sequence[Sample], *, tier: str) -> Scores:
    """Compute all scores of a result from its samples.

    Args:
        samples: the samples of all datasets that were run, in any order.
        tier: the tier; at ``smoke`` there are no standard errors.

    Raises:
        DataError: there are no samples, a dataset is unknown, a sample occurs twice, or the datasets are of several suites.
    """
    known = datasets(ALL, beside=True)
    groups: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[sample["dataset"]].append(sample)
    if strange := sorted(set(groups) - set(known)):
        raise DataError(
            f"the samples contain unknown datasets: {', '.join(strange)}. Score them with the version of CME that made them."
        )
    if not groups:
        raise DataError("there are no samples to score. Evaluate at least one dataset.")
    for name, group in groups.items():
        twice = [key for key, count in Counter(sample["id"] for sample in group).items() if count > 1]
        if twice:
            raise DataError(f"{name}: sample {twice[0]} occurs more than once. Evaluate the dataset again.")
    with_stderr = tier != "smoke"
    scored = tuple(
        score_dataset(groups[name], spec, with_stderr=with_stderr) for name, spec in known.items() if name in groups
    )
    try:
        suite = suite_of_families(item.family for item in scored)
    except UsageError as error:
        raise DataError(str(error)) from None
    counted = [item for item in scored if not known[item.dataset].beside]
    if not counted:
        raise DataError(
            f"{scored[0].dataset} does not count in the {suite.average}. Evaluate at least one other dataset with it."
        )
    families = _families({item.dataset: item.family for item in counted}, counted)
    plain = [item.value for item in families if item.family in without_rouge(suite)]
    return Scores(
        datasets=scored,
        families=families,
        average=_mean([item.value for item in families]),
        average_stderr=stderr_of_mean([item.stderr for item in families]),
        chance_normalised=_chance_normalised(counted),
        without_rouge=_mean(plain) if plain else None,
        complete=len(counted) == len(datasets(suite.name)),
        soft=_soft(groups, counted, with_stderr=with_stderr),
    )


def suite_of(scores: Scores) -> Suite:
    """Return the suite of some scores."""
    return suite_of_families(item.family for item in scores.families)


def without_rouge(suite: Suite) -> tuple[str, ...]:
    """Return the families of the average without ROUGE; none if no family of the suite is scored by ROUGE."""
    others = tuple(family for family in suite.families if family != ROUGE_FAMILY)
    return others if others != suite.families else ()


def explain(scores: Scores) -> list[str]:
    """Return the formula of the average with its numbers, line by line."""
    lines, known = [], datasets(ALL, beside=True)
    for item in scores.datasets:
        error = "" if item.stderr is None else f" ± {item.stderr:.4f}"
        lines.append(
            f"{item.dataset}: mean of {item.n} per-sample {item.metric} scores = {item.value:.4f}{error} "
            f"(chance {item.chance:.4f})"
        )
    for family in scores.families:
        members = [item for item in scores.datasets if item.family == family.family and not known[item.dataset].beside]
        terms = " + ".join(f"{item.value:.4f}" for item in members)
        lines.append(f"{family.family} = 100 × ({terms}) / {len(members)} = {family.value:.2f}")
    terms = " + ".join(f"{family.value:.2f}" for family in scores.families)
    lines.append(f"{suite_of(scores).average} = ({terms}) / {len(scores.families)} = {scores.average:.2f}")
    if scores.average_stderr is not None:
        squares = " + ".join(f"{family.stderr:.2f}²" for family in scores.families)
        lines.append(f"standard error = √({squares}) / {len(scores.families)} = {scores.average_stderr:.2f}")
    if soft := scores.soft:
        terms = " + ".join(f"{family.value:.2f}" for family in soft.families)
        lines.append(
            f"soft average (probability of the right option; the primary metric for texts) = ({terms}) / {len(soft.families)} "
            f"= {soft.average:.2f}"
        )
        if soft.average_stderr is not None:
            squares = " + ".join(f"{family.stderr:.2f}²" for family in soft.families)
            lines.append(f"its standard error = √({squares}) / {len(soft.families)} = {soft.average_stderr:.2f}")
    return lines


def _families(
    family_of: Mapping[str, str], scored: Sequence[DatasetScore] | Sequence[SoftDatasetScore]
) -> tuple[FamilyScore, ...]:
    """Return the family scores of dataset scores, in the order of the suites."""
    return tuple(
        FamilyScore(
            family=family,
            value=100 * _mean([item.value for item in members]),
            stderr=_scaled(stderr_of_mean([item.stderr for item in members])),
        )
        for suite in SUITES.values()
        for family in suite.families
        if (members := [item for item in scored if family_of.get(item.dataset) == family])
    )


def _soft(groups: Mapping[str, Sequence[Sample]], counted: Sequence[DatasetScore], *, with_stderr: bool) -> SoftScores:
    scored = []
    for name in (spec for spec in datasets(ALL, beside=True) if spec in groups):
        values = [soft_score(sample) for sample in groups[name]]
        clusters = [sample["cluster"] for sample in groups[name]]
        stderr = clustered_stderr(values, clusters) if with_stderr else None
        scored.append(SoftDatasetScore(dataset=name, value=_mean(values), stderr=stderr))
    families = _families({item.dataset: item.family for item in counted}, scored)
    return SoftScores(
        datasets=tuple(scored),
        families=families,
        average=_mean([item.value for item in families]),
        average_stderr=stderr_of_mean([item.stderr for item in families]),
    )


def _chance_normalised(scored: Sequence[DatasetScore]) -> float:
    rescaled: dict[str, list[float]] = defaultdict(list)
    for item in scored:
        rescaled[item.family].append((item.value - item.chance) / (1 - item.chance))
    return 100 * _mean([_mean(values) for values in rescaled.values()])


def _diagnostics(samples: Sequence[Sample], spec: DatasetSpec) -> dict[str, int | dict[str, int]]:
    counts: dict[str, int | dict[str, int]] = {
        name: sum(bool(sample[name]) for sample in samples)
        for name in ("truncated", "cut")
        # A count that leaves out unknown samples would look like that of all.
        if all(sample[name] is not None for sample in samples)
    }
    if spec.kind == "generate":
        counts |= {"empty": sum(bool(sample["empty"]) for sample in samples)}
        if spec.answer == "number":
            counts |= {"unmarked": sum(not sample["scores"]["marked"] for sample in samples)}
        return counts
    used = Counter(int(sample["predicted"]) for sample in samples)
    return counts | {"answers": {str(index): used[index] for index in sorted(used)}}


def _scaled(stderr: float | None) -> float | None:
    return None if stderr is None else 100 * stderr


def _mean(values: Sequence[float]) -> float:
    return float(sum(values) / len(values))
