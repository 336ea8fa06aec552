import math

import pytest

from cme.suite.metrics import binary_f1, choose, gold_probability, macro_f1


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


def test_binary_f1():
    # Gold 1: four; predicted 1: three; both: two. P = 2/3, R = 2/4: F = 2 · 2 / (3 + 4).
    pairs = [(1, 1), (1, 1), (1, 0), (1, 0), (0, 1), (0, 0)]
    assert binary_f1(pairs) == pytest.approx(4 / 7)
    # The other class: gold 0: two; predicted 0: three; both: one.
    assert binary_f1(pairs, positive=0) == pytest.approx(2 / 5)


@pytest.mark.parametrize(
    ("pairs", "score"), [([(0, 0)], 0.0), ([], 0.0), ([(1, 0)], 0.0), ([(0, 1)], 0.0), ([(1, 1)], 1.0)]
)
def test_binary_f1_at_the_edges(pairs, score):
    assert binary_f1(pairs) == score


def test_macro_f1():
    # Class 0: gold 2, predicted 1, both 1: 2/3. Class 1: gold 1, predicted 2, both 1: 2/3. Class 2: gold 1, predicted 1, none.
    pairs = [(0, 0), (0, 1), (1, 1), (2, 3)]
    # Class 3 was predicted and never gold: 0, and it counts, as in scikit-learn.
    assert macro_f1(pairs) == pytest.approx((2 / 3 + 2 / 3 + 0 + 0) / 4)
    assert macro_f1([]) == 0.0


def test_both_agree_with_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    pairs = [(gold, (gold * 7 + k) % 4) for k in range(50) for gold in (k % 3,)]
    gold, predicted = zip(*pairs, strict=True)
    assert macro_f1(pairs) == pytest.approx(metrics.f1_score(gold, predicted, average="macro"))
    two = [(g % 2, p % 2) for g, p in pairs]
    assert binary_f1(two) == pytest.approx(metrics.f1_score(*zip(*two, strict=True)))
