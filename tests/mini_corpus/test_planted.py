"""What is planted is found by brute force in the numbers announced, and nothing else is a copy."""

import pytest

from cme import mini_corpus
from cme.mini_corpus import plant
from cme.mini_corpus.render import RENDERERS
from tests.mini_corpus.key import eval_splits, key, texts, train_splits

N = 3000


def counted(folder, split, n):
    evals = {key(folder, row) for name, other in eval_splits(folder) for row in mini_corpus.rows(name, other, 512)}
    seen, found = set(), {"duplicates": 0, "leaks": 0, "unlabelled": 0}
    for row in mini_corpus.rows(folder, split, n):
        text = key(folder, row)
        found["leaks"] += text in evals
        found["duplicates"] += text in seen
        found["unlabelled"] += row.get("label") == -1
        seen.add(text)
    return found


@pytest.mark.parametrize(("folder", "split"), train_splits())
def test_the_numbers_are_exact(folder, split):
    found = counted(folder, split, N)
    assert found == mini_corpus.planted(folder, N, split=split)
    assert 0.004 * N <= found["duplicates"] <= 0.006 * N
    assert 0.002 * N <= found["leaks"] <= 0.003 * N
    assert (found["unlabelled"] > 0) == (folder == "qqp")


@pytest.mark.parametrize("n", [0, 1, 77, 78, 150, 151, 199, 200, 1234])
def test_any_number_of_rows_is_counted(n):
    assert counted("qqp", "train", n) == mini_corpus.planted("qqp", n)


def test_a_dataset_counts_all_its_training_splits():
    assert mini_corpus.planted("arc", 1000)["duplicates"] == 2 * mini_corpus.planted("arc_easy", 1000)["duplicates"]
    assert (
        mini_corpus.planted("anli", 1000)["leaks"] == 3 * mini_corpus.planted("anli", 1000, split="train_r2")["leaks"]
    )


def test_each_evaluation_row_leaks_at_most_once():
    everything = mini_corpus.size("qqp", "train")
    assert mini_corpus.planted("qqp", everything)["leaks"] == plant.LEAKED
    # The place of the first leak that is not planted any more holds a row of its own.
    index = 400 * plant.LEAKED + 150
    evals = {key("qqp", row) for row in mini_corpus.rows("qqp", "validation", 512)}
    assert key("qqp", plant.row(RENDERERS["qqp"], "train", index, 0, long=False)) not in evals


def test_a_copy_keeps_its_label_and_gets_its_own_identifier():
    rows = mini_corpus.rows("qqp", "train", 2000)
    first = {}
    for row in rows:
        original = first.setdefault(key("qqp", row), row)
        assert original["label"] == row["label"]
        assert original is row or original["idx"] != row["idx"]


@pytest.mark.parametrize(("folder", "split"), train_splits())
def test_some_copies_differ_in_case_or_spacing(folder, split):
    first, exact, changed = {}, 0, 0
    for row in mini_corpus.rows(folder, split, N):
        original = first.setdefault(key(folder, row), row)
        if original is not row:
            same = texts(folder, original) == texts(folder, row)
            exact, changed = exact + same, changed + (not same)
    assert exact and changed


@pytest.mark.parametrize(("folder", "split"), train_splits())
@pytest.mark.parametrize("seed", [1, 2])
def test_other_seeds_plant_the_same_numbers(folder, split, seed):
    rows = [key(folder, row) for row in mini_corpus.rows(folder, split, 1000, seed=seed)]
    assert len(rows) - len(set(rows)) == mini_corpus.planted(folder, 1000, seed=seed, split=split)["duplicates"]
