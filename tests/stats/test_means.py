"""Weighted means with covariance, and ratios with Fieller's interval."""

import numpy as np
import pytest

from cme.errors import UsageError
from cme.stats import clustered_stderr, estimates, make_panel
from cme.stats.means import ratio, weighted_means

WEIGHTS = {"a": 60.0, "b": 40.0}


@pytest.fixture
def values():
    draw = np.random.default_rng(0)
    return {"a": draw.random((3, 30)), "b": draw.random((3, 20))}


@pytest.fixture
def clusters():
    return {"a": [str(k // 2) for k in range(30)], "b": [str(k) for k in range(20)]}


def test_means_and_standard_errors_are_those_of_the_board(values, clusters):
    means = weighted_means(values, clusters, WEIGHTS)
    rows = {f"row{k}": {name: table[k] for name, table in values.items()} for k in range(3)}
    for k, estimate in enumerate(estimates(make_panel(rows, clusters), WEIGHTS)):
        assert means.values[k] == pytest.approx(estimate.value) and means.stderr[k] == pytest.approx(estimate.stderr)


def test_the_variance_of_a_difference_is_the_paired_one(values, clusters):
    means = weighted_means(values, clusters, WEIGHTS)
    paired = sum(
        (weight * clustered_stderr(values[name][0] - values[name][1], clusters[name])) ** 2
        for name, weight in WEIGHTS.items()
    )
    covariance = means.covariance
    assert covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1] == pytest.approx(paired)


def test_a_single_cluster_has_no_variance(values):
    means = weighted_means(values, {"a": ["x"] * 30, "b": [str(k) for k in range(20)]}, WEIGHTS)
    assert np.isfinite(means.values).all() and np.isnan(means.covariance).all()
    assert not ratio(means, [1, 0, 0], [0, 1, 0]).defined


def test_equal_combinations_have_the_ratio_one_without_error(values, clusters):
    share = ratio(weighted_means(values, clusters, WEIGHTS), [1, -1, 0], [1, -1, 0])
    assert share.value == pytest.approx(1)
    if share.defined:
        assert share.low == pytest.approx(1, abs=1e-6) and share.high == pytest.approx(1, abs=1e-6)


def test_a_denominator_that_may_be_zero_leaves_the_ratio_undefined(clusters):
    draw = np.random.default_rng(1)
    noise = {"a": draw.normal(size=(2, 30)), "b": draw.normal(size=(2, 20))}
    assert not ratio(weighted_means(noise, clusters, WEIGHTS), [1, 0], [0, 1]).defined
    zero = {"a": np.zeros((2, 30)), "b": np.zeros((2, 20))}
    assert ratio(weighted_means(zero, clusters, WEIGHTS), [1, 0], [0, 1]).value is None


def test_the_interval_covers_the_true_ratio():
    """A ratio of 0.9 with a denominator five standard errors from zero is covered in 95 % of samples."""
    draw, inside, rounds = np.random.default_rng(2), 0, 2000
    clusters = {"d": [str(k) for k in range(40)]}
    for _ in range(rounds):
        shared = draw.normal(size=40)
        below = 1 + shared + 0.7 * draw.normal(size=40)
        above = 0.9 + 0.9 * shared + 0.7 * draw.normal(size=40)
        share = ratio(weighted_means({"d": np.stack([above, below])}, clusters, {"d": 1.0}), [1, 0], [0, 1])
        inside += not share.defined or share.low <= 0.9 <= share.high
    assert 0.935 <= inside / rounds <= 0.965


def test_what_does_not_fit_is_refused(values, clusters):
    with pytest.raises(UsageError, match="no weights"):
        weighted_means(values, clusters, {})
    with pytest.raises(UsageError, match="no values of c"):
        weighted_means(values, clusters, {"c": 1.0})
    with pytest.raises(UsageError, match="30 samples, but 29"):
        weighted_means(values, clusters | {"a": clusters["a"][1:]}, WEIGHTS)
