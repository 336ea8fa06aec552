"""The order of examples depends on seed and lengths, contains every example once per epoch, and groups similar lengths."""

import numpy as np
import pytest

from cme.training.order import steps_for, training_order


@pytest.fixture
def lengths():
    return np.random.default_rng(1).integers(5, 200, 640).astype(np.int32)


def test_steps():
    assert steps_for(100, 8, None, None) == 13
    assert steps_for(100, 8, 2.0, None) == 25
    assert steps_for(100, 8, 0.5, None) == 7
    # 100 · 1.1 is 110.00000000000001 in binary.
    assert (steps_for(100, 10, 1.1, None), steps_for(100, 1, 1.1, None), steps_for(100, 10, 1.11, None)) == (
        11,
        110,
        12,
    )
    assert steps_for(100, 8, None, 4) == 4
    assert steps_for(3, 8, 0.1, None) == 1


def test_every_example_comes_once_per_epoch(lengths):
    order = training_order(lengths, 160, 8, seed=3)
    assert (np.bincount(order) == 2).all()
    short = training_order(lengths, 50, 8, seed=3)
    assert len(short) == 400 and np.bincount(short).max() == 1


def test_the_seed_decides(lengths):
    first, again, other = (training_order(lengths, 100, 8, seed=seed) for seed in (3, 3, 4))
    assert first.tolist() == again.tolist() != other.tolist()


def test_steps_hold_examples_of_similar_length_and_the_longest_comes_first(lengths):
    steps = lengths[training_order(lengths, 80, 8, seed=0)].reshape(80, 8)
    assert steps[0].max() == lengths.max()
    padded, plain = steps.max(1).sum() * 8, lengths[:640].reshape(80, 8).max(1).sum() * 8
    assert padded < 1.1 * lengths.sum() and plain > 1.5 * lengths.sum()
    # Steps come shuffled: long and short ones alternate rather than run down.
    assert abs(np.corrcoef(np.arange(79), steps[1:].mean(1))[0, 1]) < 0.3
