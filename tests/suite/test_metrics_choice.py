import math

import pytest

from cme.suite.metrics import choose, gold_probability


@pytest.mark.parametrize(
    ("logprobs", "index"),
    [
        ([-3.0, -1.0, -2.0], 1),
        ([-1.0, -1.0, -2.0], 0),
        ([-2.0, -1.0, -1.0], 1),
        ([-5.0], 0),
        ([-math.inf, -9.0], 1),
        ([-math.inf, -math.inf], 0),
    ],
)
def test_the_highest_wins_and_the_first_of_equals(logprobs, index):
    assert choose(logprobs) == index


def test_probability_of_the_gold_option():
    # Weights 1, 2 and 1 out of 4.
    logprobs = [math.log(0.1), math.log(0.2), math.log(0.1)]
    assert [gold_probability(logprobs, gold) for gold in range(3)] == pytest.approx([1 / 4, 1 / 2, 1 / 4])


def test_probability_of_the_gold_option_with_tiny_numbers():
    # exp(-2000) is zero in floating point; the ratio is not.
    assert gold_probability([-2000.0, -2000.0 + math.log(3)], 1) == pytest.approx(3 / 4)
    assert gold_probability([-math.inf, -1.0], 0) == 0.0
