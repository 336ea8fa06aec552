"""Mutual information of expert and subject, and its permutation test, on simulated rows."""

import numpy as np
import pytest

from cme.analysis.subjects import divergences, information, subject_information
from cme.errors import DataError, UsageError

SUBJECTS = [f"subject {place % 6}" for place in range(60)]


def simulated(seed, *, shift=0.0, size=1, layers=2, experts=4):
    """Simulate rows whose φ vary between clusters of ``size`` rows. Those of even subjects prefer expert 0 by ``shift``."""
    draws = np.random.default_rng(seed)
    tokens = draws.integers(5, 40, size=60 * size).astype(float)
    logits = np.repeat(draws.normal(size=(60, layers, experts)), size, axis=0)
    even = np.repeat([int(subject.split()[1]) % 2 == 0 for subject in SUBJECTS], size)
    logits[even, :, 0] += shift
    phi = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    subjects = np.repeat(SUBJECTS, size).tolist()
    clusters = np.repeat([f"cluster {place}" for place in range(60)], size).tolist()
    return phi * tokens[:, None, None], tokens, subjects, clusters


def test_information_is_that_of_the_joint_distribution():
    p = np.random.default_rng(0).dirichlet(np.ones(4), size=(5, 3))
    joint = p / 5
    marginal = joint.sum(axis=0)
    expected = (joint * np.log(joint / (marginal / 5))).sum(axis=(0, 2))
    np.testing.assert_allclose(information(p), expected, atol=1e-12)
    assert information(np.eye(4)[:, None]) == pytest.approx(np.log(4)), "each subject has its own expert"


def test_divergences_are_those_of_pairs():
    p = np.random.default_rng(1).dirichlet(np.ones(4), size=(3, 2))
    table = divergences(p)
    middle = (p[0] + p[2]) / 2
    expected = sum((q * np.log(q / middle)).sum(axis=-1) for q in (p[0], p[2])) / 2
    assert table[0, 2] == table[2, 0] == pytest.approx(expected.mean())
    assert np.diag(table).tolist() == [0, 0, 0]
    assert divergences(np.eye(2)[:, None])[0, 1] == pytest.approx(np.log(2))


def test_p_values_are_uniform_if_the_subjects_do_not_matter():
    p = [subject_information(*simulated(seed), permutations=99, seed=seed).p for seed in range(150)]
    for level in (0.1, 0.3, 0.5, 0.8):
        share = np.mean(np.array(p) <= level)
        assert abs(share - level) < 3 * (level * (1 - level) / 150) ** 0.5, level


def test_rows_of_a_cluster_do_not_count_as_independent():
    """Five copies of each row are no further evidence. A test that permuted rows would reject far too often."""
    clustered, alone = [], []
    for seed in range(60):
        phi, tokens, subjects, clusters = simulated(seed, size=5)
        clustered.append(subject_information(phi, tokens, subjects, clusters, permutations=99).p)
        rows = [str(place) for place in range(len(tokens))]
        alone.append(subject_information(phi, tokens, subjects, rows, permutations=99).p)
    assert np.mean(np.array(clustered) <= 0.05) < 0.15
    assert np.mean(np.array(alone) <= 0.05) > 0.5


def test_a_dependence_is_detected_and_its_bias_removed():
    found = subject_information(*simulated(0, shift=3.0), permutations=199)
    assert found.p == 1 / 200
    assert found.corrected == pytest.approx(found.value - found.null_mean) and found.corrected > 2 * found.null_mean
    assert found.divergence > 2 * found.divergence_null
    first, second, _ = found.farthest[0]
    assert int(first[-1]) % 2 != int(second[-1]) % 2, "the farthest subjects are an even and an odd one"
    assert (found.subjects, found.rows, found.by_layer.shape) == (6, 60, (2,))
    nothing = [subject_information(*simulated(seed), permutations=99) for seed in range(40)]
    corrected, values = (np.mean([getattr(item, name) for item in nothing]) for name in ("corrected", "value"))
    assert abs(corrected) < 0.1 * values


def test_what_cannot_be_tested_is_refused():
    phi, tokens, subjects, clusters = simulated(0)
    with pytest.raises(UsageError, match="rows of 1 subjects"):
        subject_information(phi, tokens, ["law"] * 60, clusters)
    with pytest.raises(DataError, match="cluster x has rows of several subjects"):
        subject_information(phi, tokens, subjects, ["x"] * 60)
