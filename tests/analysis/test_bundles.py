"""Bundles of experts, and the test of whether equal numbers mean anything."""

import numpy as np
import pytest

from cme.analysis.bundles import bundle_test, drawn_bundles

LAYERS = [f"layers.{place}" for place in range(6)]


def test_every_draw_gives_each_expert_of_each_layer_to_one_bundle():
    drawn = drawn_bundles(LAYERS, 4, 5)
    assert len(drawn) == 5 and all(len(bundles) == 4 for bundles in drawn)
    for bundles in drawn:
        for layer in LAYERS:
            assert sorted(bundle[layer][0] for bundle in bundles) == [0, 1, 2, 3]
    assert drawn_bundles(LAYERS, 4, 3) == drawn[:3], "more draws begin with the same ones"
    assert drawn_bundles(LAYERS, 4, 5, seed=1) != drawn
    assert any(len({bundle[layer] for layer in LAYERS}) > 1 for bundle in drawn[0])


def test_the_statistic_is_that_of_the_definition():
    observed, drawn = [1.0, 3.0], [[2.0, 2.5], [1.5, 2.0]]
    test = bundle_test(observed, drawn)
    mean = sum([1.0, 3.0, 2.0, 2.5, 1.5, 2.0]) / 6
    assert test.distance == pytest.approx(((1 - mean) ** 2 + (3 - mean) ** 2) / 2)
    assert test.distances == pytest.approx(
        [((2 - mean) ** 2 + (2.5 - mean) ** 2) / 2, ((1.5 - mean) ** 2 + (2 - mean) ** 2) / 2]
    )
    assert test.p == pytest.approx(1 / 3) and test.below == (0.0, 1.0) and test.mean == 2.0
    assert (test.draws, test.observed, test.losses) == (2, (1.0, 3.0), ((2.0, 2.5), (1.5, 2.0)))


@pytest.mark.parametrize("shift", [[-2, 2, 0, 0], [3, 3, 3, 3]], ids=["different bundles", "all worse"])
def test_bundles_that_differ_are_seen(shift):
    drawn = np.random.default_rng(1).normal(size=(20, 4)) * 0.1
    assert bundle_test(shift, drawn).p == pytest.approx(1 / 21)


def losses_of(numbers, worth):
    """The loss of a bundle whose layers add their experts' worth, which the numbers have nothing to do with."""
    return -sum(float(worth[place, number]) for place, number in enumerate(numbers))


def test_arbitrary_numbers_are_rejected_as_often_as_the_level_says():
    """Each layer's experts have random values, so equal numbers are one arbitrary choice of bundles."""
    generator = np.random.default_rng(2)
    rejected, runs = 0, 400
    for _ in range(runs):
        worth = generator.exponential(size=(len(LAYERS), 3))
        drawn = drawn_bundles(LAYERS, 3, 9, seed=int(generator.integers(2**31)))
        losses = [[losses_of([bundle[layer][0] for layer in LAYERS], worth) for bundle in draw] for draw in drawn]
        observed = [losses_of([number] * len(LAYERS), worth) for number in range(3)]
        rejected += bundle_test(observed, losses).p <= 0.2
    # The standard error of the share is 0.02.
    assert rejected / runs == pytest.approx(0.2, abs=0.07)


def test_one_layer_has_no_other_bundles_whatever_the_rounding():
    """With one adapted layer, every draw has the same bundles in another order."""
    for seed in range(200):
        draw = np.random.default_rng(seed)
        own = draw.exponential(size=4) + 1
        drawn = np.stack([draw.permutation(own) for _ in range(20)])
        assert bundle_test(own, drawn).p == 1
        # A device may sum in another order in each pass.
        assert bundle_test(own, drawn * (1 + 1e-12 * draw.normal(size=drawn.shape))).p == 1
    assert bundle_test([1.0, 1.0], [[1.0, 1.0]]).p == 1
    drawn = np.random.default_rng(1).normal(size=(20, 4)) * 0.1
    farthest = np.square(drawn - drawn.mean()).mean(axis=1).argmax()
    assert bundle_test(drawn[farthest] * 1.5, drawn).p == pytest.approx(1 / 21), "what differs is not tied"
