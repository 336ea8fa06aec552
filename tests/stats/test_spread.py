"""Prompt sensitivity, and the share of single datasets in the variance between rows."""

import pytest

from cme.errors import UsageError
from cme.stats import prompt_sensitivity, variance_share


def test_spread_by_hand():
    # Mean 51; deviations -1, 0, 1; variance 2 / 2.
    spread = prompt_sensitivity([50.0, 51.0, 52.0])
    assert (spread.std, spread.low, spread.high, spread.range) == pytest.approx((1.0, 50.0, 52.0, 2.0))


def test_one_prompt_variant_has_no_spread():
    with pytest.raises(UsageError, match="at least two"):
        prompt_sensitivity([50.0])


WEIGHTS = {"rouge": 0.5, "acc": 0.5}


@pytest.mark.parametrize(
    ("rows", "share"),
    [
        # Terms (0, 0), (1, 2) in units of one weight: sums 0 and 3. Covariance of the first with the sum 1·3, of the sum 3·3.
        ([(0.1, 0.5), (0.2, 0.7)], 1 / 3),
        ([(0.1, 0.5), (0.1, 0.7)], 0.0),
        ([(0.1, 0.5), (0.2, 0.5)], 1.0),
        # Against the average: (1, -2), sum -1: 1·(-1) / 1.
        ([(0.1, 0.7), (0.2, 0.5)], -1.0),
        ([(0.1, 0.5), (0.2, 0.4)], None),
        ([(0.1, 0.5)], None),
    ],
)
def test_share_by_hand(rows, share):
    means = {str(k): dict(zip(WEIGHTS, row, strict=True)) for k, row in enumerate(rows)}
    result = variance_share(means, WEIGHTS, ["rouge"])
    assert result == (None if share is None else pytest.approx(share))


def test_shares_of_all_datasets_sum_to_one():
    means = {
        "p": {"x": 0.3, "y": 0.5, "z": 0.1},
        "q": {"x": 0.2, "y": 0.9, "z": 0.4},
        "r": {"x": 0.6, "y": 0.4, "z": 0.2},
    }
    weights = {"x": 20.0, "y": 30.0, "z": 50.0}
    assert sum(variance_share(means, weights, [name]) for name in weights) == pytest.approx(1)


def test_missing_scores_and_unknown_datasets_are_refused():
    with pytest.raises(UsageError, match="row 'q' has no score of acc"):
        variance_share({"p": {"rouge": 0.1, "acc": 0.5}, "q": {"rouge": 0.1}}, WEIGHTS, ["rouge"])
    with pytest.raises(UsageError, match="no weight: f1"):
        variance_share({}, WEIGHTS, ["f1"])
