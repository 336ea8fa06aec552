"""Numbers of samples by variance and price, worked out by hand."""

import numpy as np
import pytest

from cme.stats import average_weights, clustered_stderr, make_panel
from cme.stats.allocation import Allocation, allocate, row_variances, shrunk


def given(**changed):
    values = {
        "weights": [1.0, 1.0],
        "variances": [[1.0, 4.0]],
        "prices": [1.0, 1.0],
        "least": [1.0, 1.0],
        "most": [1e6, 1e6],
    }
    return Allocation(**{key: np.array(value) for key, value in (values | changed).items()})


def test_twice_the_deviation_gets_twice_the_samples():
    # n = s · scale with s = 1, 2: variance (1 + 4/2) / scale = 3 / scale, which is .01 at a scale of 300.
    assert list(allocate(given(), np.array([0.01]))) == [300, 600]


def test_a_quarter_of_the_price_gets_twice_the_samples():
    # Equal variances 1, prices 4 and 1: n = scale / 2, scale; variance 3 / scale.
    samples = allocate(given(variances=[[1.0, 1.0]], prices=[4.0, 1.0]), np.array([0.01]))
    assert list(samples) == [150, 300]


def test_the_weight_counts_like_the_deviation():
    assert list(allocate(given(weights=[1.0, 2.0], variances=[[1.0, 1.0]]), np.array([0.01]))) == [300, 600]


def test_what_one_dataset_lacks_another_gives():
    # 100 of the first give 1/100; the second must bring 4/n down to 1/100.
    assert list(allocate(given(most=[100.0, 1e6]), np.array([0.02]))) == [100, 400]
    assert list(allocate(given(least=[1000.0, 1.0]), np.array([0.011]))) == [1000, 400]


def test_all_estimates_meet_their_targets():
    made = given(variances=[[1.0, 4.0], [9.0, 1.0]])
    targets = np.array([0.5, 0.01])
    samples = allocate(made, targets)
    assert np.all(made.variance(samples) <= targets)
    assert np.any(made.variance(samples - 1) > targets)


def test_too_few_samples_are_all_used():
    assert list(allocate(given(most=[10.0, 20.0]), np.array([0.01]))) == [10, 20]


def test_estimates_without_variance_need_no_more_samples():
    assert list(allocate(given(variances=[[0.0, 0.0]]), np.array([0.0]))) in ([1, 1], [1_000_000, 1_000_000])


def test_shrinkage_by_hand():
    # The mean of 1 and 3 is 2. 64 samples count as much as it does, 192 three times as much.
    assert shrunk(np.array([[1.0, 3.0]]), np.array([64.0, 192.0])) == pytest.approx(np.array([[1.5, 2.75]]))


def test_variances_of_differences_contain_the_clusters():
    rng = np.random.default_rng(0)
    labels = [str(k // 2) for k in range(20)]
    first, second = rng.integers(0, 2, (2, 20)).astype(float)
    panel = make_panel({"a": {"x": first}, "b": {"x": second}}, {"x": labels})
    weights = np.array([average_weights({"x": "family"})["x"]])
    expected = 20 * clustered_stderr(first - second, labels) ** 2
    assert row_variances(panel, weights) == pytest.approx(np.array([[expected]]))
    alone = make_panel({"a": {"x": first}}, {"x": labels})
    assert row_variances(alone, weights) == pytest.approx(np.array([[20 * clustered_stderr(first, labels) ** 2]]))
