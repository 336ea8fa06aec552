"""Shapley values and interactions against their definition over all orders, and their axioms."""

from itertools import combinations, permutations

import numpy as np
import pytest

from cme.errors import UsageError
from cme.stats.coalitions import interactions, members, number_of, shapley_values


@pytest.fixture
def game():
    """Return random scores of the 16 coalitions of four experts on seven samples."""
    return np.random.default_rng(0).normal(size=(16, 7))


def by_orders(scores, experts):
    """Compute the mean contribution over all orders of joining."""
    values = np.zeros((experts, *scores.shape[1:]))
    orders = list(permutations(range(experts)))
    for order in orders:
        joined = []
        for expert in order:
            before = scores[number_of(joined)] if joined else scores[0]
            joined.append(expert)
            values[expert] += scores[number_of(joined)] - before
    return values / len(orders)


@pytest.mark.parametrize("experts", [1, 2, 3, 4])
def test_values_are_mean_contributions_over_all_orders(experts):
    scores = np.random.default_rng(experts).normal(size=(1 << experts, 3))
    np.testing.assert_allclose(shapley_values(scores), by_orders(scores, experts), atol=1e-12)


def test_values_sum_to_the_whole_gain(game):
    np.testing.assert_allclose(shapley_values(game).sum(axis=0), game[15] - game[0], atol=1e-12)


def test_an_expert_without_effect_has_the_value_zero(game):
    without = game.copy()
    for coalition in range(16):
        without[coalition | 4] = without[coalition & ~4]
    np.testing.assert_allclose(shapley_values(without)[2], 0, atol=1e-12)
    np.testing.assert_allclose(interactions(without)[2, [0, 1, 3]], 0, atol=1e-12)


def test_interchangeable_experts_have_equal_values():
    scores = np.array([float(coalition.bit_count()) ** 2 for coalition in range(16)])
    np.testing.assert_allclose(shapley_values(scores), 4.0)
    table = interactions(scores)
    off_diagonal = table[~np.eye(4, dtype=bool)]
    np.testing.assert_allclose(off_diagonal, 2.0)  # the second difference of n²
    assert np.isnan(np.diag(table)).all()


def test_interactions_are_those_of_products():
    """A game that pays 3 for experts 0 and 1 together, and 1 for expert 2, has one interaction."""
    scores = [3.0 * ({0, 1} <= set(members(c, 3))) + (2 in members(c, 3)) for c in range(8)]
    table = interactions(scores)
    assert table[0, 1] == pytest.approx(3) and table[0, 2] == table[1, 2] == pytest.approx(0)
    np.testing.assert_allclose(shapley_values(scores), [1.5, 1.5, 1.0])


def test_numbers_and_members_agree():
    for size in range(5):
        for kept in combinations(range(4), size):
            assert members(number_of(kept), 4) == kept


@pytest.mark.parametrize("count", [0, 1, 3, 12])
def test_missing_coalitions_are_refused(count):
    with pytest.raises(UsageError, match=f"scores of {count} coalitions"):
        shapley_values(np.zeros(count))
