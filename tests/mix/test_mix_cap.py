import random
from fractions import Fraction

import pytest

from cme.errors import UsageError
from cme.mix.cap import MIXINGS, share_rows, solve_cap
from cme.suite import datasets

# Training rows as published; TriviaQA unfiltered (datasets.md, section 4, column "B: n").
PUBLISHED = {name: spec.rows["train"] for name, spec in datasets().items()}
SIZE = 2_500_000
LARGEST = ["yelp_polarity", "mnli", "qqp"]

VARIANTS = {
    # What changes, K, and the rows that lack at K, which the largest capped datasets give (datasets.md, section 4).
    "A, TriviaQA rc": ({"trivia_qa": 138_384}, 2_876_485, 313_354, 1),
    "B, TriviaQA unfiltered": ({}, 2_825_723, 330_275, 0),
    "C, MMLU without RACE": ({"mmlu": 11_976}, 2_737_857, 359_563, 2),
    "D, MMLU without RACE and ARC": ({"mmlu": 8_606}, 2_734_487, 360_687, 0),
}


@pytest.mark.parametrize(("changes", "total", "cap", "lacking"), VARIANTS.values(), ids=list(VARIANTS))
def test_published_sizes_give_the_published_cap_and_exactly_the_size(changes, total, cap, lacking):
    sizes = PUBLISHED | changes
    assert sum(sizes.values()) == total
    found, rows = share_rows(sizes, SIZE)
    assert found == cap
    assert sum(rows.values()) == SIZE
    given = {name: cap + (place < lacking) for place, name in enumerate(LARGEST)}
    assert rows == sizes | given


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


@pytest.mark.parametrize("mixing", MIXINGS)
def test_too_large_a_size_says_how_many_rows_there_are(mixing):
    with pytest.raises(UsageError, match="only 7 remain"):
        share_rows({"a": 3, "b": 4}, 8, mixing)


# Shares by hand: the weights of 1, 4 and 9 rows are 1, 2 and 3 at T = 2, so 1 + 2 + 3 of six rows.
BY_HAND = [
    (6, {"a": 1, "b": 2, "c": 3}),
    (9, {"a": 1, "b": 3, "c": 5}),  # a gives its one row; 8 by 2 to 3 are 3.2 and 4.8
    (12, {"a": 1, "b": 4, "c": 7}),  # 11 by 2 to 3 would be 4.4 and 6.6, but b has 4
    (14, {"a": 1, "b": 4, "c": 9}),
]


@pytest.mark.parametrize(("size", "rows"), BY_HAND)
def test_temperature_shares_by_the_root_of_the_sizes(size, rows):
    assert share_rows({"a": 1, "b": 4, "c": 9}, size, "temperature", 2) == (None, rows)


def test_temperature_1_is_in_proportion_and_without_a_limit():
    assert share_rows({"a": 10, "b": 30, "c": 60}, 50, "temperature", 1) == (None, {"a": 5, "b": 15, "c": 30})


def test_temperature_lies_between_proportion_and_equal_numbers():
    _, two = share_rows(PUBLISHED, 100_000, "temperature")
    _, four = share_rows(PUBLISHED, 100_000, "temperature", 4)
    smallest, largest = "rte", "yelp_polarity"
    assert PUBLISHED[smallest] * 100_000 / sum(PUBLISHED.values()) < two[smallest] < four[smallest]
    assert PUBLISHED[largest] * 100_000 / sum(PUBLISHED.values()) > two[largest] > four[largest]


def test_uniform_takes_the_same_number_from_each_that_has_it():
    assert share_rows({"a": 3, "b": 40, "c": 50}, 23, "uniform") == (10, {"a": 3, "b": 10, "c": 10})


def test_without_a_size_no_dataset_falls_short_of_its_share():
    # Uniform: 22 times the 2,490 rows of RTE. Temperature: RTE gives all, ARC 2490 · √(3370/2490) = 2,896.8.
    cap, rows = share_rows(PUBLISHED, None, "uniform")
    assert cap == 2_490 and set(rows.values()) == {2_490}
    cap, rows = share_rows(PUBLISHED, None, "temperature", 2)
    assert cap is None and (rows["rte"], rows["arc"]) == (2_490, 2_897)
    assert rows["yelp_polarity"] == round((2_490 * 560_000) ** 0.5)
    assert share_rows(PUBLISHED, None) == (None, PUBLISHED)


@pytest.mark.parametrize("mixing", MIXINGS)
def test_datasets_without_rows_give_none_and_stop_nobody(mixing):
    for size in (None, 4):
        _, rows = share_rows({"a": 0, "b": 5, "c": 0}, size, mixing)
        assert rows == {"a": 0, "b": size or 5, "c": 0}
    assert share_rows({"a": 0}, None, mixing)[1] == {"a": 0}


def random_sizes(draw: random.Random) -> dict[str, int]:
    """Up to 22 datasets: all small, of very different sizes, or several of the same size."""
    kind = draw.randrange(3)
    sizes = {}
    for k in range(draw.randint(1, 22)):
        sizes[f"d{k}"] = (
            draw.randint(0, 9) if kind == 0 else int(10 ** draw.uniform(0, 6)) if kind == 1 else draw.choice((7, 300))
        )
    return sizes


def settings(draw: random.Random) -> tuple[str, float]:
    return draw.choice(MIXINGS), draw.choice((1, 1.5, 2, 3.7, 10))


@pytest.mark.parametrize("number", range(100))
def test_any_sizes_are_shared_out_exactly_and_within_what_there_is(number):
    draw = random.Random(number)
    sizes, (mixing, temperature) = random_sizes(draw), settings(draw)
    size = draw.randint(0, sum(sizes.values()))
    _, rows = share_rows(sizes, size, mixing, temperature)
    assert list(rows) == list(sizes)
    assert sum(rows.values()) == size
    assert all(0 <= rows[name] <= sizes[name] for name in sizes)
    shuffled = dict(draw.sample(list(sizes.items()), len(sizes)))
    assert share_rows(shuffled, size, mixing, temperature)[1] == rows, "the order of the datasets must not matter"


@pytest.mark.parametrize("number", range(100))
def test_a_larger_size_never_gives_a_dataset_fewer_rows(number):
    draw = random.Random(number)
    sizes, (mixing, temperature) = random_sizes(draw), settings(draw)
    total = sum(sizes.values())
    start = draw.randint(0, total)
    steps = sorted({*range(start, min(total, start + 30) + 1), *(draw.randint(0, total) for _ in range(10))})
    before = dict.fromkeys(sizes, 0)
    for size in steps:
        _, rows = share_rows(sizes, size, mixing, temperature)
        assert all(rows[name] >= before[name] for name in sizes), (size, before, rows)
        before = rows


@pytest.mark.parametrize("number", range(50))
def test_rows_are_those_that_come_one_by_one(number):
    draw = random.Random(number)
    sizes = {f"d{k}": draw.choice((0, 1, 7, 40, 41, 400, 5000)) for k in range(draw.randint(1, 12))}
    rows = dict.fromkeys(sizes, 0)
    # Webster's method from the first row on, in whole numbers: at T = 2, (c + 1/2)² / n is least where the next row goes.
    for size in range(1, min(900, sum(sizes.values())) + 1):
        waiting = [name for name in sizes if rows[name] < sizes[name]]
        rows[min(waiting, key=lambda name: (Fraction((2 * rows[name] + 1) ** 2, sizes[name]), -sizes[name], name))] += 1
        if size % 50 == 0:
            assert share_rows(sizes, size, "temperature", 2)[1] == rows


@pytest.mark.parametrize("number", range(100))
def test_every_dataset_is_within_a_row_of_the_real_valued_share(number):
    draw = random.Random(number)
    sizes, temperature = random_sizes(draw), draw.choice((1, 2, 5))
    size = draw.randint(0, sum(sizes.values()))
    _, rows = share_rows(sizes, size, "temperature", temperature)
    # The share by bisection: min(n, L · n^(1/T)).
    low, high = 0.0, 1e9
    for _ in range(200):
        middle = (low + high) / 2
        if sum(min(n, middle * n ** (1 / temperature)) for n in sizes.values()) < size:
            low = middle
        else:
            high = middle
    for name, n in sizes.items():
        # Webster's method may leave a share by more than a row in theory, by little more in practice.
        assert abs(rows[name] - min(n, high * n ** (1 / temperature))) < 1.5


@pytest.mark.parametrize("number", range(100))
def test_uniform_is_proportional_and_a_very_high_temperature(number):
    draw = random.Random(number)
    sizes = random_sizes(draw)
    size = draw.randint(0, sum(sizes.values()))
    cap, rows = share_rows(sizes, size, "uniform")
    assert (cap, rows) == share_rows(sizes, size, "proportional")
    assert share_rows(sizes, size, "temperature", 1e12)[1] == rows


@pytest.mark.parametrize("temperature", [0, 0.5, -1, float("nan"), float("inf")])
def test_a_temperature_below_1_is_refused(temperature):
    with pytest.raises(UsageError, match=r"temperature=.* is not valid\. Set it to a finite number of at least 1"):
        share_rows({"a": 1}, 1, "temperature", temperature)


def test_an_unknown_mixing_gets_the_nearest_name():
    with pytest.raises(UsageError, match=r"unknown mixing 'uniforn'\. Did you mean 'uniform'"):
        share_rows({"a": 1}, 1, "uniforn")
