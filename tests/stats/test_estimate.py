"""Estimates of rows, compared with hand calculations and with the functions for the standard errors of results."""

import math
import statistics

import numpy as np
import pytest

from cme.stats import average_weights, clustered_stderr, estimates, make_panel, stderr_of_mean
from cme.stats.variance import combined_quantile, seed_variances

X, Y, Z = [1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0], [0.2, 0.9, 0.4, 0.4], [0.0, 1.0, 1.0]
CLUSTERS = {"x": list("aabbccd"), "y": list("aabc"), "z": list("abc")}


def test_the_average_has_the_value_and_error_of_the_result():
    panel = make_panel({"row": {"x": X, "y": Y, "z": Z}}, CLUSTERS)
    (estimate,) = estimates(panel, average_weights({"x": "one", "y": "one", "z": "two"}))
    means = [statistics.mean(values) for values in (X, Y, Z)]
    errors = [clustered_stderr(values, CLUSTERS[name]) for name, values in (("x", X), ("y", Y), ("z", Z))]
    assert estimate.value == pytest.approx(100 * ((means[0] + means[1]) / 2 + means[2]) / 2)
    assert estimate.stderr == pytest.approx(100 * stderr_of_mean([stderr_of_mean(errors[:2]), errors[2]]))
    assert estimate.sample_stderr == estimate.stderr
    assert estimate.low < estimate.value < estimate.high


def test_one_seed_has_no_seed_error_and_says_so():
    (estimate,) = estimates(make_panel({"row": {"x": X}}, {"x": list("abcdefg")}), {"x": 100.0})
    assert (estimate.seeds, estimate.seed_stderr) == (1, None)


def test_seed_variance_by_hand():
    # Every run moves all samples alike, so nothing of the spread is noise: runs .25, .5, .75 of mean .5, variance 1/16;
    # of the mean of three 1/48. Samples differ by ±.25 in all runs: s² = 4 · (1/16) / 3 = 1/12 over four samples, 1/48.
    runs = [[0.0, 0.0, 0.5, 0.5], [0.25, 0.25, 0.75, 0.75], [0.5, 0.5, 1.0, 1.0]]
    (estimate,) = estimates(make_panel({"row": {"x": runs}}, {"x": list("abcd")}), {"x": 1.0})
    assert estimate.seed_stderr == pytest.approx(math.sqrt(1 / 48))
    assert estimate.sample_stderr == pytest.approx(math.sqrt(1 / 48))
    assert estimate.stderr == pytest.approx(math.sqrt(1 / 24))


def table_of_runs(means, **options):
    """A panel of one dataset in which a run moves all samples alike, so that there is no sampling noise between runs."""
    samples = np.array([-0.1, -0.1, 0.1, 0.1])
    scores = {row: {"x": np.add.outer(np.array(of_row), samples)} for row, of_row in means.items()}
    return make_panel(scores, {"x": list("abcd")}, **options)


def test_a_small_seed_variance_is_raised_towards_the_mean_of_the_table():
    # Variances of the runs: a .0100, b .0025; their mean .00625. a keeps its own; b gets (4 · .00625 + 2 · .0025) / 6 = .005.
    panel = table_of_runs({"a": [0.4, 0.5, 0.6], "b": [0.45, 0.5, 0.55]})
    first, second = estimates(panel, {"x": 1.0})
    assert first.seed_stderr == pytest.approx(math.sqrt(0.01 / 3))
    assert second.seed_stderr == pytest.approx(math.sqrt(0.005 / 3))
    seeds = seed_variances(panel, np.array([1.0]))
    # 4 + 2 degrees of freedom, but no more than the four of the table.
    assert (list(seeds.freedom), seeds.pooled) == ([4, 4], 4)
    (alone,) = estimates(table_of_runs({"b": [0.45, 0.5, 0.55]}), {"x": 1.0})
    assert alone.seed_stderr == pytest.approx(math.sqrt(0.0025 / 3))


def test_a_trained_row_with_one_seed_gets_the_mean_and_an_untrained_row_nothing():
    means = {"a": [0.4, 0.5, 0.6], "b": [0.45, 0.5, 0.55], "one": [0.5], "base": [0.5]}
    *_, one, base = estimates(table_of_runs(means, untrained=["base"]), {"x": 1.0})
    assert one.seed_stderr == pytest.approx(math.sqrt(0.00625))
    assert one.stderr == pytest.approx(math.hypot(one.sample_stderr, one.seed_stderr))
    assert base.seed_stderr is None
    assert base.stderr == base.sample_stderr
    assert base.high - base.low < one.high - one.low


def test_seeds_count_in_the_interval_although_noise_hides_their_variance():
    # The runs of the second row have equal means, so its variance is 0; its critical value is still that of few seeds.
    rng = np.random.default_rng(0)
    first = rng.integers(0, 2, (3, 200)).astype(float)
    second = np.stack([rng.permutation(first[0]) for _ in range(3)])
    clusters = {"x": [str(k) for k in range(200)]}
    panel = make_panel({"a": {"x": first}, "b": {"x": second}}, clusters)
    seeds = seed_variances(panel, np.array([1.0]))
    assert np.all(seeds.observed > 0)
    (of_method, of_run) = (
        estimates(make_panel({"b": {"x": runs}}, clusters), {"x": 1.0})[0] for runs in (second, second.mean(axis=0))
    )
    assert of_method.seed_stderr == 0
    assert of_method.stderr == pytest.approx(of_run.stderr)
    assert of_method.high - of_method.low > 1.2 * (of_run.high - of_run.low)


def test_what_samples_already_explain_is_not_counted_as_seed_variance():
    # Runs answer differently at random with equal means: no seed effect.
    runs = [[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 1.0, 0.0]]
    (estimate,) = estimates(make_panel({"row": {"x": runs}}, {"x": list("abcd")}), {"x": 1.0})
    assert estimate.seed_stderr == 0.0


def test_there_is_no_error_at_smoke_or_with_one_cluster():
    for clusters, with_stderr in ((list("abcd"), False), (list("aaaa"), True)):
        panel = make_panel({"row": {"x": [[1.0, 0.0, 1.0, 1.0]] * 2}}, {"x": clusters})
        (estimate,) = estimates(panel, {"x": 100.0}, with_stderr=with_stderr)
        assert estimate.value == pytest.approx(75)
        assert {estimate.stderr, estimate.sample_stderr, estimate.seed_stderr, estimate.low, estimate.high} == {None}


@pytest.mark.parametrize(("score", "low", "high"), [(1.0, None, 100.0), (0.0, 0.0, None)])
def test_all_equal_answers_leave_room_on_one_side(score, low, high):
    # Wilson's interval for n of n: n / (n + z²), here with n = 50 and Student's z² = 2.0096² = 4.038: 92.53.
    (estimate,) = estimates(make_panel({"row": {"x": [score] * 50}}, {"x": [str(k) for k in range(50)]}), {"x": 100.0})
    assert estimate.stderr == 0
    assert estimate.low == pytest.approx(92.53 if low is None else low, abs=0.01)
    assert estimate.high == pytest.approx(7.47 if high is None else high, abs=0.01)


def test_a_perfect_average_leaves_room_too():
    # 0.1 + 0.2 + 0.7 times 1.0 need not be their sum.
    names = {"x": 10.0, "y": 20.0, "z": 70.0}
    panel = make_panel({"row": {name: [1.0] * 9 for name in names}}, {name: list("abcdefghi") for name in names})
    (estimate,) = estimates(panel, names)
    assert estimate.value == pytest.approx(100)
    assert 80 < estimate.low < 99


def test_a_part_without_a_share_may_have_an_infinite_quantile():
    shares, infinite = np.array([0.0, 1.0, 0.5]), np.array([2.0, np.inf, 2.0])
    with np.errstate(all="raise"):
        quantiles = combined_quantile(shares, infinite, np.array([np.inf, 3.0, 4.0]))
    assert quantiles.tolist() == [2.0, 3.0, 3.0]
