"""Whether two bases put the methods into the same order: the rank correlation, and the differences on both."""

import pytest

from cme.board.order import OnTwoBases, agreement, decision
from cme.stats.comparison import Difference


def test_the_same_and_the_opposite_order():
    assert agreement([1, 2, 3, 4], [10, 20, 30, 40]).value == pytest.approx(1)
    assert agreement([1, 2, 3], [3, 2, 1]).value == pytest.approx(-1)


def test_a_correlation_worked_out_by_hand():
    """Ranks 1 2 3 4 and 2 1 4 3: 1 − 6 · 4 / (4 · 15) = 0.6."""
    measured = agreement([1, 2, 3, 4], [2, 1, 4, 3])
    assert (measured.rows, measured.value) == (4, pytest.approx(0.6))


def test_what_has_no_correlation():
    assert agreement([1], [2]).value is None and agreement([], []).value is None
    assert agreement([1, 1], [1, 2]).value is None


def difference(value, *, significant):
    return Difference("a", "b", value, 1.0, value - 2, value + 2, 0.01, 0.02, significant, ())


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (difference(3, significant=True), difference(5, significant=True), "yes"),
        (difference(3, significant=True), difference(-5, significant=True), "no"),
        (difference(-3, significant=True), difference(-5, significant=True), "yes"),
        (difference(3, significant=True), difference(5, significant=False), "not decided"),
        (difference(3, significant=False), difference(-5, significant=False), "not decided"),
    ],
)
def test_an_order_is_decided_only_by_two_significant_differences(one, other, expected):
    assert decision(OnTwoBases("average", "x", "y", one, other)) == expected
