"""Shapley values of experts with intervals, and whether the router's values agree with them."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from cme.records.analysis import ExpertValues, GateAgreement, Interval, ShapleyAnalysis
from cme.stats import average_weights
from cme.stats.coalitions import interactions, shapley_values
from cme.stats.means import weighted_means
from cme.suite.experts.scores import Array, ScoreTable

__all__ = ["agreement", "expert_values", "shapley_analysis", "values_of_samples"]

_RESAMPLES = 2000
_DECIMALS = 12
_FEWEST_DATASETS = 5
"""Fewest datasets with an interval of the agreement. A bootstrap of fewer clusters is far too narrow."""


def shapley_analysis(
    table: ScoreTable,
    coalitions: Mapping[int, str],
    gates: Mapping[str, Array] | None,
    *,
    intervals: bool = True,
) -> ShapleyAnalysis:
    """Compute the Shapley values of each dataset, each family and the averages.

    Shapley values are linear in the scores, so each sample has its own, and their means have cluster-robust intervals.

    Args:
        table: the scores.
        coalitions: name of the evaluation of every coalition, by its number.
        gates: mean router value φ of each expert by dataset, [k]; None if load was not measured.
        intervals: whether to compute intervals.
    """
    order = table.rows_of([coalitions[number] for number in range(len(coalitions))])
    score, soft = (
        {name: values_of_samples(values[order]) for name, values in by_dataset.items()}
        for by_dataset in (table.scores, table.soft)
    )

    def values(name: str, of: Mapping[str, Array], weights: Mapping[str, float]) -> ExpertValues:
        return expert_values(name, of, table.clusters, weights, gates, intervals)

    counted = table.weights
    families = list(dict.fromkeys(table.families[name] for name in counted))
    return ShapleyAnalysis(
        average=values("average", score, counted),
        soft=values("soft", soft, counted),
        families=tuple(
            values(family, score, average_weights({name: family for name in counted if table.families[name] == family}))
            for family in families
        ),
        datasets=tuple(values(name, score, {name: 100.0}) for name in table.families),
        agreement=None if gates is None else agreement(gates, _means(score, counted), intervals=intervals),
        soft_agreement=None if gates is None else agreement(gates, _means(soft, counted), intervals=intervals),
    )


def agreement(
    gates: Mapping[str, Array], values: Mapping[str, Array], *, intervals: bool = True, seed: int = 0
) -> GateAgreement:
    """Compute Spearman's correlation of mean router values and Shapley values over pairs of dataset and expert.

    Both are centred within each dataset. The interval is from a percentile bootstrap that draws whole datasets, because the
    values of the experts of a dataset depend on each other. It contains the noise of the samples, since the values of each
    dataset come from other samples.

    Args:
        gates: mean router value of each expert by dataset, [k].
        values: Shapley value of each expert by dataset, [k]. Datasets without router values are left out.
        intervals: whether to compute the interval.
        seed: seed of the bootstrap.
    """
    names = [name for name in values if name in gates]
    if not names:
        return GateAgreement(value=None, low=None, high=None, datasets=0)
    # Rounded, so that equal values have equal ranks on every processor.
    first, second = (np.round([_centred(of[name]) for name in names], _DECIMALS) for of in (gates, values))
    value = float(_correlations(first.reshape(1, -1), second.reshape(1, -1))[0])
    if not np.isfinite(value):
        return GateAgreement(value=None, low=None, high=None, datasets=len(names))
    if not intervals or len(names) < _FEWEST_DATASETS:
        return GateAgreement(value=value, low=None, high=None, datasets=len(names))
    drawn = np.random.default_rng(seed).integers(0, len(names), size=(_RESAMPLES, len(names)))
    resampled = _correlations(first[drawn].reshape(_RESAMPLES, -1), second[drawn].reshape(_RESAMPLES, -1))
    low, high = np.quantile(resampled[np.isfinite(resampled)], [0.025, 0.975])
    return GateAgreement(value=value, low=float(low), high=float(high), datasets=len(names))


def values_of_samples(scores: Array) -> Array:
    """Return Shapley values and interactions of every sample, [k + k(k − 1)/2, n], from scores [2^k, n]."""
    own, table = shapley_values(scores), interactions(scores)
    pairs = [table[first, second] for first, second in combinations(range(len(own)), 2)]
    return np.stack([*own, *pairs])


def expert_values(
    name: str,
    of: Mapping[str, Array],
    clusters: Mapping[str, Sequence[str]],
    weights: Mapping[str, float],
    gates: Mapping[str, Array] | None,
    intervals: bool,
) -> ExpertValues:
    """Average the Shapley values and interactions of samples, with cluster-robust intervals.

    Args:
        name: name of the record.
        of: Shapley values and interactions of each sample by dataset (`values_of_samples`).
        clusters: cluster of each sample by dataset, [n].
        weights: weight of each dataset.
        gates: mean router value φ of each expert by dataset, [k]; None if it was not measured.
        intervals: whether to compute intervals.
    """
    means = weighted_means(of, clusters, weights)
    low, high = means.interval()
    known = intervals and bool(np.isfinite(low).all())
    items = [
        Interval(value=float(value), low=float(below) if known else None, high=float(above) if known else None)
        for value, below, above in zip(means.values, low, high, strict=True)
    ]
    experts = _experts(len(items))
    total = sum(weights.values())
    mean_gates = None
    if gates is not None and all(dataset in gates for dataset in weights):
        mean = np.sum([weight * gates[dataset] for dataset, weight in weights.items()], axis=0) / total
        mean_gates = tuple(mean.tolist())
    pairs = [f"{first}-{second}" for first, second in combinations(range(experts), 2)]
    return ExpertValues(
        name=name,
        values=tuple(items[:experts]),
        interactions=dict(zip(pairs, items[experts:], strict=True)),
        gates=mean_gates,
    )


def _experts(count: int) -> int:
    """Return k from the number k + k(k − 1)/2 of values and interactions."""
    return int((np.sqrt(8 * count + 1) - 1) / 2)


def _means(of: Mapping[str, Array], names: Mapping[str, float]) -> dict[str, Array]:
    return {name: of[name][: _experts(len(of[name]))].mean(axis=1) for name in names}


def _centred(values: Array) -> Array:
    return np.asarray(values, dtype=np.float64) - np.mean(values)


def _correlations(first: Array, second: Array) -> Array:
    """Return Spearman's correlation of each row, [b, n] → [b]; NaN for a row without any variation."""
    from scipy.stats import rankdata

    ranks = [rankdata(table, axis=1) for table in (first, second)]
    own, other = (rank - rank.mean(axis=1, keepdims=True) for rank in ranks)
    scale = np.sqrt(np.square(own).sum(axis=1) * np.square(other).sum(axis=1))
    products: Array = np.divide((own * other).sum(axis=1), scale, out=np.full(len(own), np.nan), where=scale > 0)
    return products
