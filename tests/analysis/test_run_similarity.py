"""Similarity of the experts of two runs, with spaces whose overlap is known."""

import pytest
import torch

from cme.analysis.run_similarity import run_similarity

D, R = 40, 2


def run(numbers, layers=("a", "b"), columns=None):
    """Make a run whose experts have A and B in the span of unit vectors: number n has the vectors 2n and 2n + 1."""
    unit = torch.eye(D)
    down = torch.stack([unit[2 * n : 2 * n + R] for n in numbers])
    up = torch.stack([unit[:, 2 * n : 2 * n + R] for n in (columns or numbers)])
    return dict.fromkeys(layers, (down, up))


def test_permuted_experts_are_matched():
    found = run_similarity(("one", "two"), run([0, 1, 2, 3]), run([2, 0, 3, 1]), "seed (0, 1)")
    assert (found.down.matched, found.up.matched) == (pytest.approx(1), pytest.approx(1))
    assert found.down.every == pytest.approx(1 / 4), "each expert has one of four partners"
    assert found.down.chance == R / D and found.layers == 2
    assert found.cells[:4] == ["one", "two", "seed (0, 1)", "2"] and found.cells[4] == "1.000"


def test_one_assignment_serves_both_matrices():
    # A and B of the other run are permuted in different ways, so no assignment matches both.
    found = run_similarity(("one", "two"), run([0, 1]), run([0, 1], columns=[1, 0]))
    assert found.down.matched + found.up.matched == pytest.approx(1)


def test_general_a_and_specific_b():
    found = run_similarity(("one", "two"), run([0, 1]), run([0, 1], columns=[5, 6]))
    assert (found.down.matched, found.up.matched, found.up.every) == (pytest.approx(1), 0, 0)


def test_experts_may_share_a_and_numbers_of_experts_may_differ():
    three, two = run([0, 1, 2]), run([1, 2])
    shared = {layer: (down[:1], up) for layer, (down, up) in three.items()}
    found = run_similarity(("one", "two"), three, two)
    assert found.down.matched == pytest.approx(1) and found.down.every == pytest.approx(1 / 3)
    own = run_similarity(("one", "two"), shared, shared)
    assert (own.down.matched, own.down.every, own.up.matched) == (pytest.approx(1), pytest.approx(1), pytest.approx(1))


def test_random_spaces_overlap_by_chance():
    torch.manual_seed(0)
    made = [{"a": (torch.randn(4, 8, 400), torch.randn(4, 400, 8))} for _ in range(2)]
    found = run_similarity(("one", "two"), *made)
    assert found.down.every == pytest.approx(8 / 400, rel=0.15) and found.down.chance == 8 / 400
    assert found.down.matched + found.up.matched > found.down.every + found.up.every, "the best assignment flatters"


def test_only_layers_of_the_same_sizes_are_compared():
    assert run_similarity(("one", "two"), run([0]), run([0], layers=("c",))) is None
    assert run_similarity(("one", "two"), run([0]), run([0], layers=("b", "c"))).layers == 1


def test_experts_that_were_never_trained_are_not_compared():
    """B of such an expert is zero, and the orthogonal factor of zero has unit vectors all the same."""

    def untrained(run, *experts):
        changed = {}
        for layer, (down, up) in run.items():
            up = up.clone()
            up[list(experts)] = 0
            changed[layer] = down, up
        return changed

    found = run_similarity(("one", "two"), untrained(run([0, 1, 2]), 2), untrained(run([1, 2, 5]), 1))
    # Experts 0 and 1 of the first run meet the experts with the vectors 1 and 5 of the other one.
    assert (found.up.every, found.up.matched) == (pytest.approx(1 / 4), pytest.approx(1 / 2))
    assert (found.untrained, found.layers, found.cells[-1]) == (4, 2, "4")
    assert run_similarity(("one", "two"), untrained(run([0, 1]), 0, 1), run([0, 1])) is None
