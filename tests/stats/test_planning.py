"""Seeds and samples from the variances of a pilot: by hand, and whether planned comparisons have the planned power."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtri

from cme.errors import UsageError
from cme.stats import compare, make_panel
from cme.stats.planning import PAIRED_FROM, Components, best_split, components
from tests.stats.tables import equal_weights, simulated

NAMES = ("x", "y")


def parts(**changed):
    values = {"seeds": 4.0, "shared": [10.0, 20.0], "own": [30.0, 40.0]} | changed
    return Components(NAMES, values["seeds"], np.array(values["shared"]), np.array(values["own"]), 2, 4)


def test_the_variance_by_hand():
    # 4/2 + (10 + 30/2)/100 + (20 + 40/2)/50.
    assert parts().variance(2, np.array([100.0, 50.0])) == pytest.approx(2 + 0.25 + 0.8)
    assert list(parts().samples(70, {"x": 100, "y": 50})) == [70, 50]


def test_the_detectable_difference_by_hand():
    samples = np.array([100.0, 50.0])
    # One seed: only the samples, 40/100 + 60/50.
    assert parts().detectable(1, samples, 0.9) == pytest.approx((ndtri(0.975) + ndtri(0.9)) * 1.6**0.5)
    # No variance between seeds, and many of them: the same formula for (10 + 30/500)/100 + (20 + 40/500)/50.
    many = parts(seeds=0.0, own=[0.0, 0.0]).detectable(500, samples, 0.8)
    assert many == pytest.approx((ndtri(0.975) + ndtri(0.8)) * 0.5**0.5, rel=0.01)


def test_few_seeds_need_far_larger_differences():
    samples = np.array([100.0, 50.0])
    detected = [parts().detectable(seeds, samples, 0.8) for seeds in (2, 3, 5, 10)]
    assert detected == sorted(detected, reverse=True)
    # Half of the seeds' effect is the uncertainty of their variance.
    assert detected[0] > 2 * (ndtri(0.975) + ndtri(0.8)) * parts().variance(2, samples) ** 0.5
    assert (
        parts().detectable(3, samples, 0.5) < parts().detectable(3, samples, 0.8) < parts().detectable(3, samples, 0.95)
    )


def test_the_fewest_samples_are_just_enough():
    available, made = {"x": 10_000, "y": 10_000}, parts(seeds=1.0)
    each = made.needed(5, 3, 0.8, available)
    detected = [made.detectable(5, made.samples(n, available), 0.8) for n in (each - 1, each)]
    assert detected[0] > 3 >= detected[1]
    assert made.needed(5, 100, 0.8, available) == 1
    assert made.needed(2, 0.1, 0.8, available) is None
    fewer = made.needed(5, 3, 0.5, available)
    assert fewer < each


def test_the_best_split_has_the_smallest_variance_for_its_budget():
    made, budget, training, sample = parts(), 1000.0, 20.0, 0.5
    seeds, samples = best_split(made, budget, training, sample)
    assert samples == pytest.approx(((70 * 20 + 30 * 1000) / (4 * 0.5)) ** 0.5)
    assert seeds * (training + sample * samples) == pytest.approx(budget)

    def variance(n):
        return (4 + 70 / n) * (training + sample * n) / budget + 30 / n

    assert variance(samples) == pytest.approx(min(variance(n) for n in np.linspace(1, 2000, 20_000)), rel=1e-6)
    assert best_split(parts(seeds=0.0), budget, training, sample) == (1.0, 1960.0)


def test_components_by_hand():
    # Every run moves all samples alike: variance between runs .01 for a, .0025 for b; no noise, so nothing is its own.
    samples = np.array([-0.1, -0.1, 0.1, 0.1])
    scores = {
        "a": {"x": np.add.outer([0.4, 0.5, 0.6], samples)},
        "b": {"x": np.add.outer([0.45, 0.5, 0.55], -samples)},
        "base": {"x": samples[None]},
    }
    made = components(make_panel(scores, {"x": list("abcd")}, untrained=["base"]), {"x": 1.0})
    assert made.seeds == pytest.approx(2 * (0.01 + 0.0025) / 2)
    assert made.own == pytest.approx([0], abs=1e-12)
    # Differences ±.2: variance of one sample .04 · 4/3.
    assert made.shared == pytest.approx([0.04 * 4 / 3])
    assert (made.pilots, made.freedom) == (2, 4)


def test_components_of_a_simulation_are_those_of_its_model():
    rng = np.random.default_rng(0)
    sizes = {"x": [1] * 2000, "y": [1] * 2000}
    panel = simulated(rng, sizes=sizes, levels=[0.3] * 8, seeds=6, seed_spread=0.1)
    made = components(panel, equal_weights(panel))
    density = 100 * np.exp(-0.5 * 0.3**2) / np.sqrt(2 * np.pi) / np.sqrt(1.01)
    # The effect of a seed on the score, twice; 40 degrees of freedom.
    assert made.seeds == pytest.approx(2 * (0.1 * density) ** 2, rel=0.5)
    # Two runs of one method differ in fewer answers than runs of two methods.
    assert 0 < made.shared.sum() < made.own.sum() + made.shared.sum()
    single = components(panel, {"x": 100.0})
    assert single.datasets == ("x",)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"a": (3, True), "base": (1, False)}, "at least two trained methods"),
        ({"a": (1, True), "b": (1, True)}, "at least one method with several seeds"),
    ],
)
def test_pilots_that_tell_nothing_are_refused(rows, message):
    rng = np.random.default_rng(0)
    scores = {name: {"x": rng.random((seeds, 20))} for name, (seeds, _) in rows.items()}
    untrained = [name for name, (_, trained) in rows.items() if not trained]
    with pytest.raises(UsageError, match=message):
        components(make_panel(scores, {"x": [str(k) for k in range(20)]}, untrained=untrained), {"x": 1.0})
    both = {name: {"x": rng.random((2, 20))} for name in "ab"}
    with pytest.raises(UsageError, match="share one cluster"):
        components(make_panel(both, {"x": ["p"] * 20}), {"x": 1.0})


def test_the_components_of_five_equal_seeds_leave_out_what_they_add_to_both_methods():
    shared = np.array([0.0, 0.3, 0.1, 0.5, 0.2])
    other = np.array([0.02, -0.02, 0.02, -0.02, 0.0])
    samples = np.array([-0.1, -0.1, 0.1, 0.1])
    scores = {
        "a": {"x": np.add.outer(0.2 + shared + other, samples)},
        "b": {"x": np.add.outer(0.2 + shared - other, samples)},
    }
    made, unknown = (
        components(make_panel(scores, {"x": list("abcd")}, seeds=seeds), {"x": 1.0})
        for seeds in ({"a": range(5), "b": range(5)}, None)
    )
    assert unknown.within is None and made.seeds == unknown.seeds
    assert made.seeds == pytest.approx(np.var(shared + other, ddof=1) + np.var(shared - other, ddof=1))
    # The variance of the difference 2 · other between runs with equal seeds.
    assert made.within.seeds == pytest.approx(np.var(2 * other, ddof=1))
    assert (made.freedom, made.within.freedom) == (8, 4)
    counts = np.array([100.0])
    for seeds, counting in ((2, made), (4, made), (5, made.within), (9, made.within)):
        assert made.variance(seeds, counts) == pytest.approx(counting.seeds / seeds + float(counting.shared[0]) / 100)
    assert made.detectable(4, counts, 0.8) == unknown.detectable(4, counts, 0.8)
    assert made.detectable(5, counts, 0.8) < unknown.detectable(5, counts, 0.8) / 3


def test_a_budget_is_split_with_the_components_that_count_for_its_seeds():
    made = replace(parts(), within=parts(seeds=1.0))
    # Without pairs 12 seeds are best, with pairs 7.
    assert best_split(made, 1000.0, 20.0, 0.5) == best_split(parts(seeds=1.0), 1000.0, 20.0, 0.5)
    # Pairs would need 3.4 seeds only, but count from 5 on, which is better than 4.5 without pairs.
    assert best_split(made, 1000.0, 150.0, 0.5) == (PAIRED_FROM, pytest.approx(100))
    # Five seeds would leave time for 20 samples, and none at all with a longer training.
    for training in (190.0, 210.0):
        assert best_split(made, 1000.0, training, 0.5) == best_split(parts(), 1000.0, training, 0.5)


def power_of(difference, seeds, samples, tables, common):
    """The share of simulated comparisons that find a difference in points significant."""
    rng = np.random.default_rng(1)
    low, high = (float(ndtri(0.6 + sign * difference / 200)) for sign in (-1, 1))
    sizes = {name: [1] * samples for name in NAMES}
    wins = 0
    for _ in range(tables):
        panel = simulated(rng, sizes=sizes, levels=[low, high], seeds=seeds, seed_spread=0.1, common=common)
        (item,) = compare(panel, equal_weights(panel), resamples=500).differences
        wins += item.significant and item.value < 0
    return wins / tables


@pytest.mark.parametrize(
    ("seeds", "tables", "common"),
    [
        (4, 60, None),
        (5, 60, 0.8),
        pytest.param(3, 500, None, marks=pytest.mark.long),
        pytest.param(5, 500, 0.8, marks=pytest.mark.long),
        pytest.param(8, 500, 0.5, marks=pytest.mark.long),
    ],
)
def test_a_planned_comparison_has_the_planned_power(seeds, tables, common):
    # A large pilot, so that its own error does not count.
    pilot = simulated(
        np.random.default_rng(0),
        sizes={name: [1] * 300 for name in NAMES},
        levels=[float(ndtri(0.6))] * 80,
        seeds=6,
        seed_spread=0.1,
        common=common,
    )
    made = components(pilot, equal_weights(pilot))
    samples = 300
    difference = made.detectable(seeds, np.array([float(samples)] * 2), 0.8)
    share = power_of(difference, seeds, samples, tables, common)
    assert share == pytest.approx(0.8, abs=0.04 + 2 * (0.16 / tables) ** 0.5)
