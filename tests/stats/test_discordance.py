"""Intervals of rows that hardly ever differ."""

import numpy as np
import pytest

from cme.stats import compare, make_panel

WEIGHTS = {"a": 50.0, "b": 50.0}
CLUSTERS = {"a": [str(k) for k in range(500)], "b": [str(k // 2) for k in range(400)]}


def rows(flips):
    """Return two rows whose scores differ in these samples of dataset a."""
    draw = np.random.default_rng(0)
    one = {name: (draw.random(len(labels)) < 0.6).astype(float) for name, labels in CLUSTERS.items()}
    other = {name: values.copy() for name, values in one.items()}
    other["a"][list(flips)] = 1 - other["a"][list(flips)]
    return {"one": one, "other": other}


@pytest.mark.parametrize("flips", [[3], [3, 7], [3, 7, 11]])
def test_the_interval_of_a_few_different_samples_is_bounded(flips):
    (item,) = compare(make_panel(rows(flips), CLUSTERS), WEIGHTS, resamples=2000).differences
    # At level 0.05, at most 4.75, 6.3 and 7.76 differing clusters are expected, and each counts up to 0.25 points.
    limit = {1: 4.75, 2: 6.3, 3: 7.76}[len(flips)] * 0.25
    assert 0 < item.high - item.value <= abs(item.value) + limit
    assert item.low <= 0 <= item.high and not item.significant


def test_many_different_samples_keep_the_bootstrap():
    (item,) = compare(make_panel(rows(range(0, 300, 2)), CLUSTERS), WEIGHTS, resamples=2000).differences
    half = (item.high - item.low) / 2
    assert 1.8 * item.stderr < half < 2.2 * item.stderr


@pytest.mark.parametrize("rate", [*(pytest.param(each, marks=pytest.mark.long) for each in (0.001, 0.004)), 0.02])
def test_rare_differences_are_covered(rate):
    """The interval covers the true difference in at least 95 % of samples, up to the noise of 600 simulated tables."""
    draw, inside, rounds = np.random.default_rng(1), 0, 600
    clusters = {"a": CLUSTERS["a"]}
    for _ in range(rounds):
        one = draw.integers(0, 2, 500).astype(float)
        other = np.where((draw.random(500) < rate) & (one == 1), 0.0, one)
        panel = make_panel({"one": {"a": one}, "other": {"a": other}}, clusters)
        (item,) = compare(panel, {"a": 100.0}, resamples=400).differences
        # Identical answers have an interval without width, which a board reports as identical.
        inside += item.low <= 100 * rate / 2 <= item.high or item.stderr == 0
    assert inside / rounds >= 0.95 - 2 * np.sqrt(0.05 * 0.95 / rounds)
