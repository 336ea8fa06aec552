"""Standard errors, worked out by hand."""

import math
import statistics

import pytest

from cme.stats import clustered_stderr, stderr_of_mean


def test_singletons_give_the_ordinary_error():
    scores = [1.0, 0.0, 0.5, 1.0, 0.25]
    expected = statistics.stdev(scores) / math.sqrt(len(scores))
    assert clustered_stderr(scores, list("abcde")) == pytest.approx(expected)


def test_pairs_by_hand():
    # Mean 1/2. Sums of deviations by cluster: a: 1/2 + 1/2 = 1; b: -1/2 - 1/2 = -1; c: 1/2 - 1/2 = 0. Squares: 2.
    # Factor 3/2 for three clusters: √(3/2 · 2) / 6 = √3 / 6.
    scores = [1.0, 1.0, 0.0, 0.0, 1.0, 0.0]
    assert clustered_stderr(scores, list("aabbcc")) == pytest.approx(math.sqrt(3) / 6)


def test_unequal_clusters_by_hand():
    # Mean 3/4. a (three rows): 1/4 · 3 = 3/4; b (one row): -3/4. Squares 9/8; factor 2: √(9/4) / 4 = 3/8.
    assert clustered_stderr([1.0, 1.0, 1.0, 0.0], list("aaab")) == pytest.approx(3 / 8)


def test_rows_that_say_the_same_are_no_more_than_one():
    # Every row doubled within its cluster: no new information, the same error.
    scores = [1.0, 0.0, 0.5, 1.0]
    doubled = [value for value in scores for _ in range(2)]
    assert clustered_stderr(doubled, list("aabbccdd")) == pytest.approx(clustered_stderr(scores, list("abcd")))


def test_the_order_of_rows_does_not_count():
    scores, clusters = [1.0, 1.0, 0.0, 0.0, 1.0, 0.0], list("aabbcc")
    mixed = [4, 0, 3, 5, 1, 2]
    assert clustered_stderr([scores[k] for k in mixed], [clusters[k] for k in mixed]) == pytest.approx(
        clustered_stderr(scores, clusters)
    )


def test_equal_scores_have_no_error():
    assert clustered_stderr([1.0, 1.0, 1.0], list("aab")) == 0.0


@pytest.mark.parametrize(("scores", "clusters"), [([], []), ([1.0], ["a"]), ([1.0, 0.0], ["a", "a"])])
def test_fewer_than_two_clusters_have_none(scores, clusters):
    assert clustered_stderr(scores, clusters) is None


def test_the_error_of_an_unweighted_mean():
    # √(3² + 4²) / 2.
    assert stderr_of_mean([3.0, 4.0]) == pytest.approx(2.5)
    assert stderr_of_mean([3.0]) == 3.0


@pytest.mark.parametrize("stderrs", [[], [None], [1.0, None]])
def test_one_unknown_error_makes_the_means_unknown(stderrs):
    assert stderr_of_mean(stderrs) is None
