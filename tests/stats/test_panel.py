"""Panels of scores, and refused input."""

import numpy as np
import pytest

from cme.errors import UsageError
from cme.stats import average_weights, estimates, make_panel

CLUSTERS = {"x": ["a", "a", "b"], "y": ["a", "b"]}


def row(**changed):
    return {"x": [1.0, 0.0, 1.0], "y": [0.0, 1.0]} | changed


def test_weights_make_the_mean_of_family_means():
    weights = average_weights({"x": "one", "y": "one", "z": "two"})
    assert weights == {"x": 25.0, "y": 25.0, "z": 50.0}


def test_runs_are_averaged_over_each_rows_seeds():
    panel = make_panel({"one": row(), "two": {"x": [[1, 1, 1], [0, 0, 0]], "y": [[1, 1], [1, 0]]}}, CLUSTERS)
    assert panel.seeds == (1, 2)
    assert panel.over_seeds(panel.means) == pytest.approx(np.array([[2 / 3, 1 / 2], [1 / 2, 3 / 4]]))
    assert list(panel.over_runs(np.array([7.0, 8.0]))) == [7, 8, 8]


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ({}, "at least one row"),
        ({"one": row(), "two": {"x": [1.0, 0.0, 1.0]}}, "row 'two' has no scores of y"),
        ({"one": row(), "two": row(z=[1.0])}, "row 'two' has scores of z"),
        ({"one": row(), "two": row(y=[1.0])}, "the shape must be seeds × 2 samples"),
        ({"one": row(y=[])}, "the shape must be seeds × 2 samples"),
        ({"one": row(y=[[1.0, 0.0], [1.0, 0.0]])}, "2 seeds on y and 1 on other datasets"),
        ({"one": row(y=[1.0, float("nan")])}, "not a finite number"),
    ],
)
def test_invalid_tables_are_refused(scores, message):
    with pytest.raises(UsageError, match=message):
        make_panel(scores, CLUSTERS)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({}, "no dataset has a weight"),
        ({"z": 100.0}, "no scores of 'z'"),
        ({"x": 0.0}, "weight of 'x' is 0"),
        ({"x": -1.0}, "-1"),
    ],
)
def test_weights_must_fit(weights, message):
    with pytest.raises(UsageError, match=message):
        estimates(make_panel({"one": row()}, CLUSTERS), weights)


@pytest.mark.parametrize(
    ("seeds", "expected"),
    [
        (None, None),
        ({"one": [0, 1], "two": [1, 0], "base": [None]}, [[0, 1], [3, 2]]),
        ({"one": [0, 1], "two": [0, 2], "base": [None]}, None),
        ({"one": [0, 0], "two": [0, 0], "base": [None]}, None),
        ({"one": [0, None], "two": [0, None], "base": [None]}, None),
    ],
)
def test_runs_of_one_seed_are_paired_if_all_trained_rows_have_the_same_seeds(seeds, expected):
    twice = {"x": [[1, 1, 1], [0, 0, 0]], "y": [[1, 1], [1, 0]]}
    panel = make_panel({"one": twice, "two": twice, "base": row()}, CLUSTERS, untrained=["base"], seeds=seeds)
    runs = panel.paired_runs()
    assert (None if runs is None else runs.tolist()) == expected


def test_a_row_with_fewer_seeds_prevents_pairs():
    twice = {"x": [[1, 1, 1], [0, 0, 0]], "y": [[1, 1], [1, 0]]}
    panel = make_panel({"one": twice, "two": row()}, CLUSTERS, seeds={"one": [0, 1], "two": [0]})
    assert panel.paired_runs() is None
