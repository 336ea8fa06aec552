"""Simulated tables with known true values: coverage of the intervals and rate of false positives."""

import math

import numpy as np
import pytest
from scipy.special import ndtri

from cme.stats import compare, estimates
from tests.stats.tables import equal_weights, simulated

RESAMPLES = 399
ALONE = {"x": [1] * 60, "y": [1] * 100}
EQUAL = {"x": [4] * 15, "y": [3] * 20}
MIXED = {"x": [1, 2, 3, 4, 5, 6, 7, 8] * 3, "y": [1] * 30 + [2] * 10 + [6] * 4}


def coverage(times, level, **table):
    """Return the coverage of the first row's score and of the difference 0, for tables of two equally good rows."""
    rng, held = np.random.default_rng(2024), np.zeros(2)
    for _ in range(times):
        panel = simulated(rng, levels=[float(ndtri(level))] * 2, **table)
        weights = equal_weights(panel)
        score = estimates(panel, weights)[0]
        (pair,) = compare(panel, weights, resamples=RESAMPLES).differences
        held += [score.low <= 100 * level <= score.high, pair.low <= 0 <= pair.high]
    return held / times


@pytest.mark.parametrize("level", [pytest.param(0.6, marks=pytest.mark.long), 0.85])
@pytest.mark.parametrize(
    "sizes",
    [
        pytest.param(ALONE, id="alone", marks=pytest.mark.long),
        pytest.param(EQUAL, id="equal clusters", marks=pytest.mark.long),
        pytest.param(MIXED, id="clusters of many sizes"),
    ],
)
def test_intervals_of_95_percent_hold_the_truth_in_93_to_97(sizes, level):
    for share in coverage(1000, level, sizes=sizes):
        assert 0.93 <= share <= 0.97


@pytest.mark.parametrize("seed_spread", [*(pytest.param(each, marks=pytest.mark.long) for each in (0.05, 0.1)), 0.3])
def test_intervals_with_three_seeds_hold_the_truth_in_93_to_97(seed_spread):
    for share in coverage(800, 0.6, sizes=MIXED, seeds=3, seed_spread=seed_spread):
        assert 0.93 <= share <= 0.97


def test_the_simulation_sees_intervals_that_ignore_clusters():
    for share in coverage(300, 0.6, sizes={"x": [8] * 20}, blind=True):
        assert share < 0.9


@pytest.mark.parametrize("seeds", [1, 3])
def test_false_claims_in_a_table_of_equal_rows_are_rare(seeds):
    rng, times, wrong = np.random.default_rng(5), 500, 0
    for _ in range(times):
        panel = simulated(rng, levels=[0.25] * 4, sizes=MIXED, seeds=seeds, seed_spread=0.1 * (seeds > 1))
        wrong += any(item.significant for item in compare(panel, equal_weights(panel), resamples=RESAMPLES).differences)
    assert wrong / times <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / times)
    # Corrected, not silenced.
    assert wrong > 0


def test_a_difference_of_the_detectable_size_is_significant_with_the_given_power():
    rng, times, level = np.random.default_rng(6), 500, 0.6
    sizes = {name: [1, 1, 1, 2, 3] * 10 for name in "xyz"}

    def table(other):
        panel = simulated(rng, levels=[float(ndtri(level)), float(ndtri(other))], sizes=sizes)
        return compare(panel, equal_weights(panel), resamples=RESAMPLES)

    size = np.mean([table(level).detectable(power=0.8) for _ in range(50)])
    power = np.mean([table(level + size / 100).differences[0].p <= 0.05 for _ in range(times)])
    assert abs(power - 0.8) < 0.06
