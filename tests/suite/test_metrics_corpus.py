"""F1 of all answers together: values worked out by hand, and the plain formula, bit for bit."""

import random
import subprocess
import sys

import pytest

from cme.suite.metrics import binary_f1, macro_f1


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


def test_the_numbers_are_those_of_the_plain_formula_to_the_last_bit():
    """Stored results hold the formula's numbers, and a board is checked without a tolerance."""

    def f1(pairs, label):
        both = sum(gold == label == predicted for gold, predicted in pairs)
        either = sum((gold == label) + (predicted == label) for gold, predicted in pairs)
        return 2 * both / either if either else 0.0

    draw = random.Random(0)
    for labels in (2, 4, 6):
        for _ in range(50):
            pairs = [(draw.randrange(labels), draw.randrange(labels)) for _ in range(draw.randrange(1, 80))]
            present = sorted({label for pair in pairs for label in pair})
            assert binary_f1(pairs) == f1(pairs, 1)
            assert macro_f1(pairs) == sum(f1(pairs, label) for label in present) / len(present)


def test_scikit_learn_is_loaded_only_where_a_dataset_has_such_a_score():
    code = """if True:
        import sys
        from cme.suite.score import score_dataset
        from cme.suite import dataset
        row = {"id": "a", "part": "p", "cluster": "a", "score": 1.0, "scores": {"acc": 1.0}, "options": 2, "gold": 0}
        row |= {"predicted": 0, "gold_probability": 0.5, "empty": False, "truncated": False, "cut": False}
        for name in ("rte", "qqp"):
            score_dataset([row], dataset(name))
            print("sklearn" in sys.modules)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
