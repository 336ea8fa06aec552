"""Medians and their intervals, by hand."""

import pytest

from cme.bench.adapters.cases import Case
from cme.bench.adapters.ratios import Interval, Quartiles, median_interval, quartiles, ratio_of
from cme.bench.adapters.reported import Reported, compare_reported


def test_quartiles_by_hand():
    # Between 1 2 3 4, the first quartile lies at position 0.75 from 1: 1.75.
    assert quartiles([4, 1, 3, 2]) == Quartiles(1.75, 2.5, 3.25)


@pytest.mark.parametrize(
    ("count", "low", "missed"),
    [
        # 2 · P(Bin(n, 1/2) < j), j the largest with at most 0.05 (published in tables of the sign test).
        (6, 1, 2 / 64),
        (8, 1, 2 / 256),
        (9, 2, 2 * (1 + 9) / 512),
        (20, 6, 2 * (1 + 20 + 190 + 1140 + 4845 + 15504) / 2**20),
    ],
)
def test_the_interval_of_a_median_by_hand(count, low, missed):
    values = [(7 * i) % count + 1 for i in range(count)] if count % 7 else list(range(1, count + 1))
    assert sorted(values) == list(range(1, count + 1))
    interval = median_interval(values)
    assert (interval.low, interval.high) == (low, count + 1 - low)
    assert interval.coverage == pytest.approx(1 - missed) and interval.coverage >= 0.95


def test_few_values_hold_no_interval():
    assert median_interval([1, 2, 3, 4, 5]) is None
    assert median_interval([1, 2, 3, 4, 5], level=0.9) == Interval(1, 5, 1 - 2 / 32)


def test_ratios_are_taken_within_a_round():
    # The machine is ten times slower in the second round, for both.
    ratio = ratio_of("train", "a", "b", [2, 20, 3], [1, 10, 2])
    assert ratio.quartiles.median == 2 and ratio.quartiles.low == pytest.approx(1.75)
    assert ratio.interval is None and ratio.rounds == 3


def test_reported_figures_beside_known_times():
    times = {
        "train": {
            Case("lora", rank=8): [2.0, 2.0],
            Case("moelora", "loop", 2, 4): [3.0, 3.0],
            Case("moelora", "loop", 4, 2): [4.0, 8.0],
            Case("teamlora", "fused", 4, 2): [2.0, 4.0],
            Case("teamlora", "loop", 4, 2): [3.0, 6.0],
        }
    }
    figures = [
        Reported("training time", "teamlora", "moelora", 4, 0.7, "a table"),
        Reported("training time", "moelora", "lora", None, 1.62, "a text"),
        Reported("training time", "moelora", "lora", 8, 2.38, "a text"),
        Reported("inference speed", "teamlora", "moelora", None, 1.4, "a text"),
    ]
    compared = compare_reported(figures, times)
    assert [(item.reported.ratio, item.experts, item.forms, item.measured.quartiles.median) for item in compared] == [
        (0.7, 4, ("fused", "loop"), 0.5),
        (0.7, 4, ("loop", "loop"), 0.75),
        (1.62, 2, ("loop", "plain"), 1.5),
        (1.62, 4, ("loop", "plain"), 3.0),
    ]
    # A speed is the other way round than a time: 3 s against 2 s is 1.5 times as fast.
    (speed,) = compare_reported(
        figures[3:],
        {"decode": {Case("moelora", "fused", 4, 2): [3.0, 3.0], Case("teamlora", "fused", 4, 2): [2.0, 2.0]}},
    )
    assert speed.measured.quartiles.median == 1.5
