"""Whether two bases put the methods into the same order: a rank correlation with an interval for noise."""

import pytest

from cme.board.order import agreement
from cme.stats import Estimate


def scores(values, stderr=0.1):
    return [Estimate("", value, 3, stderr, stderr, None, None, None) for value in values]


def test_the_same_order_without_noise():
    measured = agreement(scores([1, 2, 3, 4]), scores([10, 20, 30, 40]))
    assert (measured.rows, measured.value, measured.low, measured.high) == (4, pytest.approx(1), 1.0, 1.0)


def test_the_opposite_order():
    assert agreement(scores([1, 2, 3]), scores([3, 2, 1])).value == pytest.approx(-1)


def test_a_correlation_worked_out_by_hand():
    """Ranks 1 2 3 4 and 2 1 4 3: 1 − 6 · 4 / (4 · 15) = 0.6."""
    assert agreement(scores([1, 2, 3, 4]), scores([2, 1, 4, 3])).value == pytest.approx(0.6)


def test_noise_widens_the_interval():
    narrow = agreement(scores([1, 2, 3, 4], 0.3), scores([1, 2, 3, 4], 0.3))
    wide = agreement(scores([1, 2, 3, 4], 3), scores([1, 2, 3, 4], 3))
    assert wide.low < narrow.low < 1 and wide.high == 1.0
    assert wide == agreement(scores([1, 2, 3, 4], 3), scores([1, 2, 3, 4], 3)), "the draws are seeded"


def test_what_has_no_correlation_or_no_interval():
    assert agreement(scores([1]), scores([2])).value is None
    assert agreement(scores([1, 1]), scores([1, 2])).value is None
    measured = agreement(scores([1, 2], None), scores([1, 2], None))
    assert measured.value == pytest.approx(1) and measured.low is None
