import pytest

from cme.errors import UsageError
from cme.mix.cap import solve_cap

# Training rows as published (datasets.md, section 4, column "B: n": TriviaQA unfiltered).
PUBLISHED = {
    "tldr": 116_722,
    "cnn_dailymail": 287_113,
    "imdb": 25_000,
    "yelp_polarity": 560_000,
    "emotion": 16_000,
    "tweet_emotion": 3_257,
    "anli": 162_865,
    "mnli": 392_702,
    "qqp": 363_846,
    "paws": 49_401,
    "rte": 2_490,
    "qnli": 104_743,
    "winogrande": 40_398,
    "commonsense_qa": 9_741,
    "arc": 3_370,
    "sciq": 11_679,
    "nq_open": 87_925,
    "trivia_qa": 87_622,
    "squad_v2": 130_319,
    "race": 87_866,
    "mmlu": 99_842,
    "medmcqa": 182_822,
}
SIZE = 2_500_000


def test_published_sizes_give_the_published_cap_and_exactly_the_size():
    cap, rows = solve_cap(PUBLISHED, SIZE)
    assert cap == 330_275
    assert sum(rows.values()) == SIZE
    assert {name for name, count in rows.items() if count < PUBLISHED[name]} == {"yelp_polarity", "mnli", "qqp"}


def test_without_an_integer_cap_the_largest_capped_dataset_gives_the_remainder():
    # Variant A: TriviaQA rc. K = 313,354 gives 2,499,999 and 313,355 gives 2,500,002.
    cap, rows = solve_cap(PUBLISHED | {"trivia_qa": 138_384}, SIZE)
    assert cap == 313_354
    assert sum(rows.values()) == SIZE
    assert (rows["yelp_polarity"], rows["mnli"], rows["qqp"]) == (313_355, 313_354, 313_354)


def test_remainder_goes_to_the_larger_set_and_among_equals_by_name():
    assert solve_cap({"b": 10, "a": 10, "c": 11}, 17) == (5, {"b": 5, "a": 6, "c": 6})


@pytest.mark.parametrize("size", range(1, 21))
def test_total_is_exact_for_every_size(size):
    sizes = {"a": 1, "b": 7, "c": 0, "d": 12}
    cap, rows = solve_cap(sizes, size)
    assert sum(rows.values()) == size
    assert all(0 <= rows[name] <= sizes[name] for name in sizes)
    if cap is not None:
        assert all(count in (min(sizes[name], cap), cap + 1) for name, count in rows.items())


def test_nothing_is_capped_when_all_rows_are_wanted():
    assert solve_cap({"a": 3, "b": 4}, None) == (None, {"a": 3, "b": 4})
    assert solve_cap({"a": 3, "b": 4}, 7) == (None, {"a": 3, "b": 4})


def test_too_large_a_size_says_how_many_rows_there_are():
    with pytest.raises(UsageError, match="only 7 are left"):
        solve_cap({"a": 3, "b": 4}, 8)
