"""Figures of load from simulated sums of gate weights."""

import numpy as np
import pytest

from cme.analysis.load import PER_EXPERT, PER_TOKEN, Group, Load, by_family, figures_of, joined_loads, overall


def load_of(phi, tokens, groups, *, gates=None):
    """Make a load from mean values φ [G, 2, L, k] and numbers of tokens [G, 2, L]."""
    phi, tokens = np.asarray(phi, dtype=float), np.asarray(tokens, dtype=float)
    sums = {name: np.zeros_like(phi) for name in PER_EXPERT} | {name: np.zeros_like(tokens) for name in PER_TOKEN}
    sums |= {
        "tokens": tokens,
        "phi": phi * tokens[..., None],
        "gates": (phi if gates is None else gates) * tokens[..., None],
    }
    return Load(tuple(f"layer {place}" for place in range(phi.shape[2])), tuple(groups), sums)


@pytest.fixture
def two_datasets():
    """Two layers. Expert 0 has all load of the first dataset, and the second dataset uses all experts equally."""
    phi = np.empty((2, 2, 2, 4))
    phi[0], phi[1] = [1, 0, 0, 0], [0.25] * 4
    tokens = np.array([1000.0, 10.0])[:, None, None] * np.ones((2, 2, 2))
    return load_of(phi, tokens, [Group("imdb", "sentiment_analysis"), Group("qqp", "paraphrase_detection")])


def test_even_load_and_a_single_expert_are_the_extremes(two_datasets):
    alone, even = figures_of(two_datasets)
    assert (alone.entropy, alone.effective, alone.largest) == (0, 1, 4)
    assert alone.variation == pytest.approx(3**0.5)
    assert (even.entropy, even.effective, even.largest, even.variation) == pytest.approx((1, 4, 1, 0))


def test_datasets_count_equally_however_long_their_rows_are(two_datasets):
    (figures,) = figures_of(overall(two_datasets))
    mean = np.array([0.625, 0.125, 0.125, 0.125])
    assert figures.effective == pytest.approx(np.exp(-(mean * np.log(mean)).sum()))
    assert figures.largest == pytest.approx(2.5)
    families = by_family(two_datasets)
    assert [group.family for group in families.groups] == ["sentiment_analysis", "paraphrase_detection"]
    assert [item.effective for item in figures_of(families)] == pytest.approx([1, 4])


def test_the_number_of_an_expert_means_nothing_across_layers():
    """Two layers that each use another single expert are not evenly loaded."""
    phi = np.zeros((1, 2, 2, 2))
    phi[..., 0, 0] = phi[..., 1, 1] = 1
    (figures,) = figures_of(load_of(phi, np.ones((1, 2, 2)), [Group("qqp", "paraphrase_detection")]))
    assert figures.effective == 1


def test_subjects_of_a_dataset_are_added_up_by_token():
    phi = np.zeros((2, 2, 1, 2))
    phi[0, ..., 0] = phi[1, ..., 1] = 1
    groups = [Group("mmlu", "knowledge_reasoning", "law"), Group("mmlu", "knowledge_reasoning", "physics")]
    load = load_of(phi, np.array([3.0, 1.0])[:, None, None] * np.ones((2, 2, 1)), groups)
    assert load.by_dataset().groups == (Group("mmlu", "knowledge_reasoning"),)
    np.testing.assert_allclose(load.by_dataset().mean("phi"), [[[0.75, 0.25]]])
    np.testing.assert_allclose(load.by_dataset().mean("phi", "answer"), [[[0.75, 0.25]]])


def test_loads_are_joined_in_order(two_datasets):
    first, second = two_datasets.chosen([True, False]), two_datasets.chosen([False, True])
    joined = joined_loads([second, first])
    assert [group.dataset for group in joined.groups] == ["qqp", "imdb"]
    np.testing.assert_array_equal(joined.mean("phi")[::-1], two_datasets.mean("phi"))
